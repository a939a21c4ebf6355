"""Recalls agree with their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.train.evaluation.confusion import Confusion

PAIRS = st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 3)))


@given(PAIRS)
def test_by_definition(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = np.array(pairs, np.int64).reshape(-1, 2).T
    found = Confusion.of(labels, predicted, 4)
    known = [(label, guess) for label, guess in pairs if label >= 0]
    assert found.clips == len(known)
    recalls = [
        np.mean([guess == label for label, guess in known if label == each])
        for each in range(4)
        if any(label == each for label, _ in known)
    ]
    if known:
        assert found.war == pytest.approx(np.mean([label == guess for label, guess in known]))
        assert found.uar == pytest.approx(np.mean(recalls))
    else:
        assert np.isnan(found.war)
        assert np.isnan(found.uar)


@given(PAIRS, PAIRS)
def test_parts_add_up(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    def count(pairs: list[tuple[int, int]]) -> Confusion:
        labels, predicted = np.array(pairs, np.int64).reshape(-1, 2).T
        return Confusion.of(labels, predicted, 4)

    assert np.array_equal((count(one) + count(other)).counts, count(one + other).counts)


def test_rows_are_truths_and_columns_are_guesses() -> None:
    found = Confusion.of(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    assert found.counts.tolist() == [[1, 1], [0, 1]]
    assert found.recalls.tolist() == [0.5, 1.0]
    assert [found.war, found.uar] == pytest.approx([2 / 3, 0.75])
