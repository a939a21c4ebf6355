"""Thresholds from the data: a hill of unusable clips is found, a single hill is left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from noisy_clips import TRUE, UNUSABLE, begin, one_epoch
from numpy.typing import NDArray

from sciu.purification import Sciu
from sciu.purification.rules.thresholds import lambda_from_scores, tau_from_noise
from sciu.purification.store.evidence import Evidence

Floats = NDArray[np.float64]
CLEAN: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "uniform": lambda rng, n: rng.random(n),
    "bell": lambda rng, n: rng.normal(0.8, 0.07, n),
    "skewed": lambda rng, n: rng.beta(8, 2, n),
    "sure": lambda rng, n: 1 - rng.lognormal(-5, 1, n),
    "low": lambda rng, n: rng.beta(2, 8, n),
}


@pytest.mark.parametrize("clips", [60, 1000, 30_000])
@pytest.mark.parametrize("name", CLEAN)
def test_one_hill_is_left_alone(name: str, clips: int) -> None:
    lost = []
    for seed in range(10):
        confidence = CLEAN[name](np.random.default_rng(seed), clips).clip(0, 1)
        lost.append(np.mean(confidence <= lambda_from_scores(confidence)))
    assert np.median(lost) == 0
    assert max(lost) < 0.1


@pytest.mark.parametrize(("clips", "share"), [(300, 0.2), (300, 0.4), (3000, 0.05), (3000, 0.2), (3000, 0.4)])
def test_a_low_hill_is_cut_off(clips: int, share: float) -> None:
    rng = np.random.default_rng(0)
    bad = rng.random(clips) < share
    confidence = np.where(bad, rng.normal(0.25, 0.06, clips), rng.beta(14, 3, clips)).clip(0, 1)
    pruned = confidence <= lambda_from_scores(confidence)
    assert (pruned & bad).sum() >= 0.9 * bad.sum()
    assert (pruned & bad).sum() >= 0.9 * pruned.sum()


def test_of_three_hills_the_lowest_goes() -> None:
    rng = np.random.default_rng(0)
    confidence = np.concatenate([rng.normal(mean, 0.04, 400) for mean in (0.15, 0.55, 0.9)])
    assert 0.25 < lambda_from_scores(confidence) < 0.45


@pytest.mark.parametrize("value", [0.0, 0.5, 0.999, 1.0])
def test_equal_scores_are_no_reason_to_prune(value: float) -> None:
    assert lambda_from_scores(np.full(500, value)) == 0.0
    assert lambda_from_scores(np.full(3, value)) == 0.0
    assert lambda_from_scores(np.zeros(0)) == 0.0


def evidence_of(delta: Floats, own: Floats, predicted: NDArray[np.int16], scores: int = 2) -> Evidence:
    clips = len(delta)
    return Evidence(np.full(clips, scores, np.uint8), own + np.nan_to_num(delta), own, delta, predicted, np.ones(clips))


def test_tau_lets_as_many_be_corrected_as_seem_wrong() -> None:
    rng = np.random.default_rng(0)
    label = np.zeros(1000, np.int16)
    label[500:] = 1
    predicted, wrong = label.copy(), rng.random(1000) < 0.1
    predicted[wrong] = 1 - label[wrong]
    unsure = rng.random(1000) < 0.1
    predicted[unsure & ~wrong] = 1 - label[unsure & ~wrong]
    own = np.where(wrong, 0.05, np.where(unsure, 0.3, 0.85)) + rng.normal(0, 0.01, 1000)
    delta = np.where(predicted == label, 0.0, np.where(wrong, 0.85, 0.3)) + rng.normal(0, 0.01, 1000)
    tau = tau_from_noise(evidence_of(delta, own, predicted), label, np.ones(1000, np.bool_), 2)
    corrected = (predicted != label) & (delta > tau)
    assert corrected.tolist() == wrong.tolist()
    assert tau_from_noise(evidence_of(delta, own, predicted, scores=1), label, np.ones(1000, np.bool_), 2) == 0.2


def test_both_follow_the_data_in_a_training(tmp_path: Path) -> None:
    policy = Sciu(prune_below="auto", correct_above="auto", window=2, warmup=3)
    with begin(tmp_path, policy=policy) as purifier:
        for _ in range(4):
            index = one_epoch(purifier)
        limits = purifier.index_at(4).header.thresholds
        assert 0.2 < limits["prune_below"] < 0.8
        assert limits["correct_above"] >= 0.2
        assert (index.labels >= 0).tolist() == (~UNUSABLE).tolist()
        assert (index.labels[~UNUSABLE] == TRUE[~UNUSABLE]).mean() > 0.95


def test_revived_clips_do_not_all_return_once_the_low_hill_is_gone(tmp_path: Path) -> None:
    policy = Sciu(prune_below="auto", correct_above=None, window=2, warmup=2, revive_every=4)
    with begin(tmp_path, policy=policy) as purifier:
        restored = [len(one_epoch(purifier).restored) for _ in range(10)]
        assert sum(restored) == 0
        assert purifier.states().status[UNUSABLE].all()
