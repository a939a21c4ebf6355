"""A run says once that its network does not learn, and once that it has forgotten what it knew."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.train.record.epoch_record import EpochRecord, PurifyResult, Spent
from sciu.pipeline.train.report.learning import warning_of


def history(*accuracies: float, largest: int = 60) -> list[EpochRecord]:
    """Epochs with these training accuracies; of 100 clips the largest class has 60."""
    classes = {"happy": {"training": largest}, "sad": {"training": 100 - largest}}
    purify = PurifyResult(counts={}, thresholds={}, spared={}, classes=classes, detection=None)
    return [
        EpochRecord(epoch=epoch, loss=1.0, accuracy=accuracy, lr=0.1, spent=Spent(), purify=purify)
        for epoch, accuracy in enumerate(accuracies, 1)
    ]


def said(*accuracies: float, largest: int = 60) -> dict[int, str]:
    """Return what is said after each epoch."""
    records = history(*accuracies, largest=largest)
    warnings = {n: warning_of(records[:n], 0.001) for n in range(1, len(records) + 1)}
    return {n: warning for n, warning in warnings.items() if warning}


def test_a_network_that_still_guesses_after_five_epochs_is_named_once_with_the_rate_and_the_remedies() -> None:
    found = said(*[0.6] * 12)
    assert list(found) == [5]
    assert "after 5 epochs the network is hardly better than a guess" in found[5]
    assert "accuracy is 60.0%" in found[5]
    assert "would reach 60.0%" in found[5]
    assert "lr is 0.001" in found[5]
    assert "lower lr" in found[5]


def test_a_network_that_learns_late_is_named_again_only_if_it_guesses_again() -> None:
    assert list(said(0.6, 0.6, 0.6, 0.6, 0.6, 0.7, 0.8, 0.9)) == [5]


def test_the_loss_of_half_of_what_was_learnt_is_named_once_with_the_epoch_that_was_better() -> None:
    found = said(0.6, 0.8, 0.9, 0.74, 0.7, 0.74, 0.8, 0.9)
    assert list(found) == [4]
    assert "74.0%, after 90.0% in epoch 3" in found[4]


def test_a_network_that_never_knew_more_than_guessing_cannot_forget_it() -> None:
    assert said(0.66, 0.2, 0.66, 0.2) == {}


@given(st.lists(st.floats(0.0, 0.2), max_size=20), st.integers(50, 99))
def test_nothing_is_said_of_a_network_that_learns_however_large_the_largest_class(
    steps: list[float], largest: int
) -> None:
    share = largest / 100
    learnt = [share + (1 - share) * min(part, 1.0) for part in accumulate(steps, initial=0.15)]
    assert said(*learnt, largest=largest) == {}


@pytest.mark.parametrize("epochs", [1, 4])
def test_the_first_epochs_say_nothing(epochs: int) -> None:
    assert warning_of(history(*[0.0] * epochs), 0.1) is None


def test_an_epoch_without_counts_is_no_fault() -> None:
    assert warning_of([replace(record, purify=None) for record in history(0.5, 0.6)], 0.1) is None
