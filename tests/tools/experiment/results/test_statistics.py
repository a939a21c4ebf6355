"""Means, intervals and the prior's control are what their definitions say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciu.tools.experiment.results.shift import shifted
from sciu.tools.experiment.results.statistics import Spread, gap_share, large_classes, paired, t_quantile, uar_of


@pytest.mark.parametrize(("degrees", "value"), [(1, 12.7062), (4, 2.7764), (30, 2.0423), (40, 2.0211), (120, 1.9799)])
def test_quantiles_of_student_are_those_of_the_tables(degrees: int, value: float) -> None:
    assert t_quantile(degrees) == pytest.approx(value, abs=2e-4)


@given(st.integers(1, 500))
def test_quantiles_fall_towards_the_normal_distribution(degrees: int) -> None:
    assert 1.9599 < t_quantile(degrees + 1) < t_quantile(degrees)


def test_a_paired_interval_by_hand() -> None:
    """Differences 1, 2, 3: mean 2, deviation 1, half of the interval 4.3027 / sqrt(3)."""
    found = paired({"0": 2.0, "1": 4.0, "2": 6.0, "9": 1.0}, {"0": 1.0, "1": 2.0, "2": 3.0, "8": None})
    assert found is not None
    assert (found.mean, found.deviation, found.count) == (2.0, 1.0, 3)
    assert found.interval == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)


def test_of_one_value_there_is_no_spread_and_of_none_no_mean() -> None:
    one = Spread.of([0.5, None])
    assert one == Spread(0.5, None, 1)
    assert one is not None
    assert one.interval is None
    assert Spread.of([None]) is None
    assert paired({"0": 1.0}, {"1": 1.0}) is None


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(1.0, 3.0, (2000, 5))
    intervals = [spread.interval for row in draws if (spread := Spread.of(row.tolist()))]
    held = sum(interval is not None and interval[0] < 1 < interval[1] for interval in intervals)
    assert 0.93 < held / len(draws) < 0.97


def test_the_share_of_the_gap() -> None:
    assert gap_share(0.6, 0.5, 0.7) == pytest.approx(0.5)
    assert gap_share(0.6, 0.5, 0.5) is None


def test_small_classes_are_left_out_of_the_large_ones_recall() -> None:
    counts = np.array([[9, 1, 0], [5, 5, 0], [0, 2, 0]])
    large = large_classes(counts, 10)
    assert large.tolist() == [True, True, False]
    assert uar_of(counts, large) == pytest.approx(0.7)
    assert uar_of(counts, np.ones(3, np.bool_)) == pytest.approx((0.9 + 0.5 + 0) / 3)
    assert large_classes(counts, 99).all()
    assert uar_of(np.zeros((2, 2), np.int64), np.ones(2, np.bool_)) is None


@given(st.lists(st.integers(1, 90), min_size=3, max_size=3), st.floats(0, 3))
def test_a_prior_that_did_not_change_shifts_nothing(counts: list[int], exponent: float) -> None:
    probs = np.random.default_rng(1).dirichlet(np.ones(3), 50).astype(np.float32)
    prior = np.array(counts)
    assert np.array_equal(shifted(probs, prior, prior, exponent), probs.argmax(axis=1))
    assert np.array_equal(shifted(probs, prior, prior[::-1], 0.0), probs.argmax(axis=1))


def test_a_class_that_grew_is_named_more_often_with_every_step() -> None:
    probs = np.random.default_rng(1).dirichlet(np.ones(3), 500).astype(np.float32)
    given_K, found_K = np.array([100, 100, 100]), np.array([200, 60, 40])
    named = [(shifted(probs, given_K, found_K, exponent) == 0).sum() for exponent in (0, 0.5, 1, 2, 3)]
    assert named == sorted(named)
    assert named[-1] > named[0]


def test_a_shift_by_hand() -> None:
    """Odds of .6 to .4 turn when the prior's odds become 1 to 2, not when they become 4 to 5."""
    probs = np.array([[0.6, 0.4]], np.float32)
    given_K = np.array([10_000.0, 10_000.0])
    assert shifted(probs, given_K, np.array([10_000.0, 20_000.0]), 1.0).tolist() == [1]
    assert shifted(probs, given_K, np.array([10_000.0, 12_500.0]), 1.0).tolist() == [0]
    assert shifted(probs, given_K, np.array([10_000.0, 12_500.0]), 2.0).tolist() == [1]
