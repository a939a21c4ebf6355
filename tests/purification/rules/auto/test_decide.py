"""What `auto` decides on hand-made averages: when it pulls, prunes, restores and corrects, and what it spares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sciu.purification import Auto
from sciu.purification.clip_state import ClipStates, Status
from sciu.purification.rules.policy import Verdict
from sciu.purification.store.evidence import Evidence

K, CLIPS = 3, 300
TRUE = np.arange(CLIPS) % K
POLICY = Auto(act_after=1, revive_every=5)


def sure_of(labels: NDArray[Any], probability: float = 0.95) -> NDArray[np.float64]:
    rest = (1 - probability) / (K - 1)
    return np.where(np.arange(K) == labels[:, None], probability, rest)


def states_of(given: NDArray[Any]) -> ClipStates:
    return ClipStates.begin(given.astype(np.int16))


def decide(
    averages_NK: NDArray[np.float64], states: ClipStates, *, scores: int | NDArray[np.int64] = 3, noise: float = 3,
    epoch: int = 10, policy: Auto = POLICY, **before: float,
) -> Verdict:  # fmt: skip
    clips = len(averages_NK)
    zeros, predicted = np.zeros(clips), averages_NK.argmax(axis=1).astype(np.int16)
    evidence = Evidence(
        np.broadcast_to(np.array(scores, np.uint8), clips).copy(), zeros, zeros, zeros, predicted, np.ones(clips),
        running_KN=averages_NK.T.astype(np.float16), before={"noise": noise, **before},
    )  # fmt: skip
    return policy.decide(evidence, states, epoch)


def mislabelled(every: int = 4) -> ClipStates:
    """One label in four is that of the next class."""
    given = np.where(np.arange(CLIPS) % every == 0, (TRUE + 1) % K, TRUE)
    return states_of(given)


def test_the_pull_is_full_where_every_class_stands_and_weaker_where_one_fades() -> None:
    assert decide(sure_of(TRUE), mislabelled()).thresholds["pull"] == pytest.approx(3, abs=0.05)
    fading = np.where((TRUE == 1) & (np.arange(CLIPS) % 2 == 0), 0, TRUE)  # half of class 1 is predicted as class 0
    limits = decide(sure_of(fading), states_of(TRUE)).thresholds
    assert 0.4 < limits["lowest_standing"] < 0.7
    assert limits["pull"] == pytest.approx(3 * (limits["lowest_standing"] / 0.85) ** 2)


@pytest.mark.parametrize(
    ("before", "mean", "shows", "after"),
    [
        (0, 0.0, True, 1), (1, 0.9, True, 2), (2, 0.9, True, 3),  # in three epochs in a row
        (2, 0.4, True, 3), (2, 0.3, True, 2),  # if it is even on average: (2 x .4 + 1) / 3 = .6, (2 x .3 + 1) / 3 = .53
        (1, 0.9, False, 0), (2, 0.9, False, 0),  # nothing is doubted
        (3, 0.9, False, 3), (3, 0.0, True, 3),  # it is not forgotten
    ],
)  # fmt: skip
def test_noise_is_even_on_average_over_three_epochs_and_is_not_forgotten(
    before: int, mean: float, shows: bool, after: int
) -> None:
    verdict = decide(sure_of(TRUE), mislabelled() if shows else states_of(TRUE), noise=before, evenness=mean)
    assert verdict.thresholds["noise"] == after
    assert (verdict.thresholds["pull"] > 0) == (after == 3)
    assert verdict.correct.any() == (shows and after == 3)


@pytest.mark.parametrize(
    ("best", "knew", "knows"),
    [(0.0, 0.0, 1.0), (0.625, 1.0, 1.0), (1.2, 1.0, 1.0), (1.3, 1.0, 0.0), (1.0, 0.0, 0.0), (0.8, 0.0, 1.0)],
)
def test_a_network_has_diverged_below_half_of_its_best_and_recovers_at_three_quarters(
    best: float, knew: float, knows: float
) -> None:
    limits = decide(sure_of(TRUE), mislabelled(), best_agreement=best, knows=knew).thresholds
    assert limits["agreement"] == pytest.approx(0.625)  # three quarters of the labels, of which guessing names a third
    assert limits["knows"] == knows
    assert limits["best_agreement"] == max(best, limits["agreement"])


def test_by_a_network_that_has_diverged_nothing_is_pruned_or_corrected_and_no_noise_is_seen() -> None:
    clips = np.arange(CLIPS)
    averages = np.where((clips < 60)[:, None], 1 / K, sure_of(np.where(clips < 160, (TRUE + 1) % K, TRUE)))
    sound, diverged = (decide(averages, states_of(TRUE), noise=0, best_agreement=best) for best in (0.3, 1.0))
    assert sound.prune.any()
    assert sound.thresholds["noise"] == 1
    assert not diverged.prune.any()
    assert diverged.thresholds["noise"] == 0
    assert decide(averages, states_of(TRUE), best_agreement=0.3).correct.any()
    assert not decide(averages, states_of(TRUE), best_agreement=1.0).correct.any()


def test_corrections_and_their_undoing_do_not_make_a_network_a_stranger() -> None:
    states = mislabelled()
    corrected = decide(sure_of(TRUE), states)
    assert corrected.label is not None
    states.label[:] = corrected.label
    assert decide(sure_of(TRUE), states).thresholds["agreement"] == corrected.thresholds["agreement"]


@given(st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_a_network_that_guesses_decides_nothing_however_it_guesses(classes: int, seed: int) -> None:
    """Random predictions contradict every label evenly, as noise does; one class for all clips is no better."""
    random = np.random.default_rng(seed)
    given = states_of(random.permutation(np.arange(400) % classes))
    for guess in (random.integers(0, classes, 400), np.zeros(400, int)):
        averages = np.where(np.arange(classes) == guess[:, None], 0.9, 0.1 / (classes - 1))
        verdict = decide(averages, given, noise=2)
        if verdict.thresholds["agreement"] < 0.1:  # by chance it may be more, of few classes
            assert verdict.thresholds["noise"] == verdict.thresholds["pull"] == 0
            assert not verdict.prune.any()
            assert not verdict.correct.any()


def with_empty(empty: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Averages, some without information."""
    return np.where(empty[:, None], 1 / K, sure_of(TRUE))


def test_few_empty_clips_are_a_kind_only_where_some_were_found_before() -> None:
    states, empty = states_of(TRUE), np.arange(CLIPS) < 3
    assert not decide(with_empty(empty), states).prune.any(), "three are fewer than five"
    states.status[100] = Status.PRUNED
    assert np.flatnonzero(decide(with_empty(empty), states).prune).tolist() == [0, 1, 2]


def test_half_of_a_class_is_never_pruned_and_nobody_whom_a_person_keeps() -> None:
    states, empty = states_of(TRUE), (TRUE == 2) & (np.arange(CLIPS) < 240)
    states.status[[2, 5]] = Status.PIN_KEEP, Status.PIN_LABEL
    verdict = decide(with_empty(empty), states)
    assert verdict.prune.sum() == 50
    assert verdict.spared["2"] == 28
    assert not verdict.prune[[2, 5]].any()
    assert not decide(with_empty(empty), states, scores=2).prune.any(), "after fewer epochs than the window"


def test_a_pruned_clip_that_speaks_comes_back_after_one_look() -> None:
    """Only in epochs in which pruned clips are scored, and only once the clip was scored again."""
    states = states_of(TRUE)
    states.status[[7, 8]] = Status.PRUNED
    averages, scores = sure_of(TRUE), np.where(np.arange(CLIPS) == 8, 0, 1)
    assert np.flatnonzero(decide(averages, states, scores=scores).restore).tolist() == [7]
    assert not decide(averages, states, scores=scores, epoch=11).restore.any()


def test_the_guard_counts_only_corrections_that_are_made() -> None:
    """Two fifths of class 0 would move to 1; as many of class 1 would move to 0, but a user has labelled these."""
    given = np.repeat([0, 1], 100)
    states = states_of(given)
    true = np.where(np.arange(200) % 5 < 2, 1 - given, given)
    states.status[(given == 1) & (true == 0)] = Status.PIN_LABEL
    averages = np.where(np.arange(2) == true[:, None], 0.999, 0.001)
    verdict = decide(averages, states)
    assert verdict.label is not None
    label = np.where(verdict.correct, verdict.label, states.label)
    assert (label == 0).sum() == 85
    assert verdict.spared == {"0": 25}
    free = decide(averages, states_of(given))
    assert free.correct.sum() == 80
    assert not free.spared
