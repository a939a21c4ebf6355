"""A division is exact, alike in every class and keeps groups whole; what cannot be divided so is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sciu.pipeline.dataset import DatasetError
from sciu.pipeline.dataset.splits.divide import REST, divide
from sciu.pipeline.dataset.table import Categories
from sciu.pipeline.errors import SettingError

SEEDS = st.integers(0, 2**63 - 1)


def column(codes: object, names: str = "class") -> Categories:
    found = np.asarray(codes, np.int32)
    return Categories(found, tuple(f"{names} {number}" for number in range(int(found.max(initial=0)) + 1)))


def by_class(labels: Categories, among: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.bincount(labels.codes[among], minlength=len(labels.names))


def clips_of(sizes: list[int], seed: int) -> Categories:
    """Labels of that many clips of each class, in any order."""
    return column(np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes)))


# ---- without groups


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.floats(0.001, 0.999), SEEDS)
def test_one_part_is_exact_and_stratified_or_refused(sizes: list[int], share: float, seed: int) -> None:
    """A class may be off its share by a clip, or give more to, or take more from, those whose share is below one."""
    labels, clips = clips_of(sizes, seed), sum(sizes)
    total = math.floor(share * clips + 0.5)
    if min(sizes) < 2 or not len(sizes) <= total <= clips - len(sizes):
        with pytest.raises((DatasetError, SettingError), match="must"):
            divide(labels, None, {"test": share}, seed)
        return
    parts = divide(labels, None, {"test": share}, seed)
    held, quota = by_class(labels, parts == 0), share * np.array(sizes)
    assert held.sum() == total
    assert (held >= 1).all()
    assert (by_class(labels, parts == REST) >= 1).all()
    if (quota >= 1).all() and (np.array(sizes) - quota >= 1).all():
        assert (np.abs(held - quota) <= 1).all()


@given(
    st.lists(st.integers(10, 60), min_size=1, max_size=6), st.floats(0.1, 0.45), st.floats(0.1, 0.45), SEEDS
)  # fmt: skip
def test_two_parts_are_both_exact_shares_of_all_clips(sizes: list[int], test: float, val: float, seed: int) -> None:
    labels, clips = clips_of(sizes, seed), sum(sizes)
    assume(all(size * (1 - test - val) >= 3 for size in sizes))
    assume(all(size * share >= 1 for size in sizes for share in (test, val)))
    parts = divide(labels, None, {"test": test, "val": val}, seed)
    for number, share in enumerate((test, val)):
        held = by_class(labels, parts == number)
        assert held.sum() == math.floor(share * clips + 0.5)
        assert (np.abs(held - share * np.array(sizes)) <= 2).all()


def test_the_shares_of_the_fault_that_was_found() -> None:
    """65 clips: .2 held out 9 and .01 none, without a word."""
    labels = column(np.arange(65) % 5)
    assert by_class(labels, divide(labels, None, {"validation": 0.2}, 0) == 0).tolist() == [3, 3, 3, 2, 2]
    with pytest.raises(
        SettingError, match=r"validation must .* each of 5 classes, but 0\.01 of 65 .* Give at least 0\.077"
    ):
        divide(labels, None, {"validation": 0.01}, 0)
    assert (divide(labels, None, {"validation": 0.077}, 0) == 0).sum() == 5


@given(SEEDS, SEEDS)
def test_the_seed_decides_and_nothing_else(one: int, other: int) -> None:
    labels = column(np.arange(200) % 4)
    first, second = (divide(labels, None, {"test": 0.5}, seed) for seed in (one, other))
    assert np.array_equal(first, divide(labels, None, {"test": 0.5}, one))
    assert np.array_equal(first, second) == (one == other)


def test_each_clip_of_a_class_is_as_likely_to_be_drawn() -> None:
    labels = column([0] * 10 + [1] * 10)
    drawn = np.sum([divide(labels, None, {"test": 0.3}, seed) == 0 for seed in range(500)], axis=0)
    assert drawn.sum() == 3000
    assert (np.abs(drawn - 150) < 50).all()


@pytest.mark.parametrize(
    ("labels", "shares", "message"),
    [
        ([0, 0, 0, 1], {"test": 0.5}, "class 'class 1' must have at least 2 clips to be divided into 2, but has 1"),
        ([0, 0, 0, 1, 1], {"test": 0.4, "val": 0.4}, "'class 1' must have at least 3 clips to be divided into 3, but"),
        (
            [0, 1] * 10,
            {"test": 0.95},
            r"test must leave clips of each of 2 .* at most 18, but 0\.95 of 20 clips are 19",
        ),
        ([0, 1] * 10, {"test": 0.5, "val": 0.49}, "val must leave clips .* at most 8, but 0.49 of 20 clips are 10"),
    ],
)
def test_what_cannot_be_divided_is_refused_with_its_reason(
    labels: list[int], shares: dict[str, float], message: str
) -> None:
    with pytest.raises((DatasetError, SettingError), match=message):
        divide(column(labels), None, shares, 0)


# ---- with groups


@settings(deadline=None)
@given(
    st.integers(1, 5), st.integers(3, 40), st.integers(1, 12), st.floats(0, 1), st.floats(0.05, 0.8), SEEDS
)  # fmt: skip
def test_groups_are_whole_and_every_class_is_everywhere(
    classes: int, groups: int, size: int, grouped: float, share: float, seed: int
) -> None:
    """Some clips have no group; they are drawn one by one."""
    random = np.random.default_rng(seed)
    clips = groups * size
    labels, group = column(random.integers(0, classes, clips)), random.integers(0, groups, clips)
    group[random.random(clips) >= grouped] = -1
    try:
        parts = divide(labels, column(group, "person"), {"test": share}, seed)
    except (DatasetError, SettingError) as error:
        assert "must" in str(error)  # noqa: PT017 - both outcomes are right
        return
    for part in (0, REST):
        assert (by_class(labels, parts == part)[np.unique(labels.codes)] >= 1).all()
    assert not set(group[parts == 0]) & set(group[parts == REST]) - {-1}
    total = math.floor(share * clips + 0.5)
    assert total / 2 <= (parts == 0).sum() <= 2 * total


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**20))
def test_many_small_groups_are_divided_as_exactly_as_clips(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels, group = column(np.arange(2000) % 5), column(random.integers(0, 400, 2000), "person")
    parts = divide(labels, group, {"test": 0.2, "val": 0.1}, seed)
    for number, clips in enumerate((400, 200)):
        assert abs((parts == number).sum() - clips) <= 8
        assert (np.abs(by_class(labels, parts == number) - clips / 5) <= 12).all()


def test_clips_without_a_group_even_out_what_whole_groups_cannot() -> None:
    labels = column(np.arange(400) % 4)
    group = column(np.where(np.arange(400) < 200, np.arange(400) // 20, -1), "person")
    parts = divide(labels, group, {"test": 0.23}, 0)
    assert (parts == 0).sum() == 92
    assert by_class(labels, parts == 0).tolist() == [23] * 4
    assert (parts[200:] == 0).any()


@pytest.mark.parametrize(
    ("labels", "groups", "share", "message"),
    [
        ([0, 0, 0, 1, 1], [0, 0, 1, 2, 2], 0.4, "'class 1' must have at least 2 groups .* but has 1. .*--by clip"),
        (
            [0] * 20,
            [0] * 10 + [1] * 10,
            0.1,
            r"test 0\.1 must hold out 2 clips, but whole groups allow 10 .* give 0\.5",
        ),
        (
            [0, 1, 2] * 4,
            [0, 0, 1, 1, 2, 2] * 2,
            0.5,
            "test must have a clip of every class, but no division .*--by clip",
        ),
    ],
    ids=["a class in one group", "large groups", "classes that exclude each other"],
)
def test_groups_that_cannot_be_kept_whole_are_refused(
    labels: list[int], groups: list[int], share: float, message: str
) -> None:
    with pytest.raises((DatasetError, SettingError), match=message):
        divide(column(labels), column(groups, "person"), {"test": share}, 0)
