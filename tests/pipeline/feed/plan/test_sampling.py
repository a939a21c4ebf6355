"""Frame numbers are inside the clip, in order, and as the sampling method defines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from sciu.pipeline.errors import SettingError
from sciu.pipeline.feed.plan.sampling import SAMPLINGS, Sampling, distinct

LENGTHS = st.integers(1, 400)
FRAMES = st.integers(1, 20).map(lambda n: 2 * n)


def taken(how: str, length: int, frames: int = 16, chance: float = 0.5, stride: int = 2) -> list[int]:
    sampling = Sampling(how=how, frames=frames, stride=stride)
    return sampling.numbers(np.array([length], np.int32), np.full((1, frames), chance))[0].tolist()


@given(st.data(), st.sampled_from(list(SAMPLINGS)), LENGTHS, FRAMES, st.integers(1, 30))
def test_inside_the_clip_and_in_order(data: st.DataObject, how: str, length: int, frames: int, stride: int) -> None:
    chances = data.draw(npst.arrays(np.float64, (1, frames), elements=st.floats(0, 1, exclude_max=True)))
    sampling = Sampling(how=how, frames=frames, stride=stride)
    numbers = sampling.numbers(np.array([length], np.int32), chances)[0]
    assert numbers[0] >= 0
    assert numbers[-1] < length
    assert np.all(np.diff(numbers) >= 0)
    assert len(set(numbers.tolist())) == min(length, frames), "nothing is repeated unless the clip is too short"


@given(st.sampled_from(list(SAMPLINGS)), st.integers(1, 16), st.floats(0, 1, exclude_max=True))
def test_short_clips_repeat_their_frames_evenly(how: str, length: int, chance: float) -> None:
    counts = np.bincount(taken(how, length, chance=chance))
    assert len(counts) == length
    assert counts.max() - counts.min() <= 1


@given(st.lists(st.integers(0, 30), min_size=1))
def test_distinct_numbers_and_their_places(numbers: list[int]) -> None:
    ascending = np.array(sorted(numbers), np.int32)
    once, places = distinct(ascending)
    assert once.tolist() == sorted(set(numbers))
    assert np.array_equal(once[places], ascending)


def test_segments_start_in_their_middle_when_testing() -> None:
    assert taken("segment", 48) == list(range(1, 48, 3))
    assert taken("segment", 48, chance=0.0) == list(range(0, 48, 3))
    assert taken("segment", 48, chance=0.999) == list(range(2, 48, 3))


def test_pairs_are_neighbours() -> None:
    assert taken("segment2", 48, frames=8, chance=0.0) == [0, 1, 12, 13, 24, 25, 36, 37]
    assert taken("segment2", 48, frames=8, chance=0.999) == [10, 11, 22, 23, 34, 35, 46, 47]


def test_a_window_keeps_its_stride_or_takes_the_largest_that_fits() -> None:
    assert taken("dense", 48, frames=4, chance=0.0, stride=3) == [0, 3, 6, 9]
    assert taken("dense", 48, frames=4, chance=0.999, stride=3) == [38, 41, 44, 47]
    assert taken("dense", 8, frames=4, chance=0.0, stride=3) == [0, 2, 4, 6]


def test_uniform_reaches_both_ends_whatever_chance_says() -> None:
    assert taken("uniform", 31, chance=0.0) == taken("uniform", 31, chance=0.9) == list(range(0, 31, 2))


@pytest.mark.parametrize("how", SAMPLINGS)
def test_a_still_image_is_a_clip_of_one_frame(how: str) -> None:
    assert taken(how, 1) == [0] * 16
    if how != "segment2":
        assert taken(how, 9, frames=1) == [4]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"how": "segmnt"}, "sampling must be one of .* but is 'segmnt'"),
        ({"frames": 0}, "frames must be at least 1, but is 0"),
        ({"stride": 0}, "stride must be at least 1"),
        ({"how": "segment2", "frames": 7}, "frames must be even with segment2, but is 7"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Sampling(**setting)  # type: ignore[arg-type]
