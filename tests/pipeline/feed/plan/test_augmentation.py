"""Boxes lie inside the frames, and settings have their documented effect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sciu.pipeline.errors import SettingError
from sciu.pipeline.feed.plan.augmentation import CROPS, Augmentation
from sciu.pipeline.feed.plan.draws import Draws

MANY = np.arange(4000)


def draw(size: int = 40, shape: tuple[int, int] = (64, 48), **settings: object) -> dict[str, NDArray[Any]]:
    augmentation = Augmentation(**settings)  # type: ignore[arg-type]
    return augmentation.draw(np.tile(np.array(shape, np.int32), (len(MANY), 1)), size, Draws(0, 1, MANY))


@given(
    st.sampled_from(list(CROPS)), st.integers(1, 300), st.integers(1, 300), st.integers(1, 300),
    st.floats(0.01, 1), st.floats(0.2, 5), st.integers(0, 2**40), st.booleans(),
)  # fmt: skip
def test_boxes_lie_inside(
    crop: str, height: int, width: int, size: int, scale: float, ratio: float, seed: int, testing: bool
) -> None:
    augmentation = Augmentation(crop=crop, scale=(scale, 1.0), ratio=(min(ratio, 1), max(ratio, 1)))
    sizes = np.tile(np.array([height, width], np.int32), (20, 1))
    draws = Draws(seed, 1, np.arange(20))
    boxes = (
        augmentation.without_chance(sizes, size)["boxes"] if testing else augmentation.draw(sizes, size, draws)["boxes"]
    )
    top, left, box_height, box_width = boxes.T
    assert np.all((top >= 0) & (left >= 0) & (box_height >= 1) & (box_width >= 1))
    assert np.all((top + box_height <= height) & (left + box_width <= width))


def test_a_shifted_box_has_the_wanted_size_and_comes_everywhere() -> None:
    boxes = draw(crop="shifted")["boxes"]
    assert np.all(boxes[:, 2:] == 40)
    assert set(boxes[:, 0].tolist()) == set(range(25))
    assert set(boxes[:, 1].tolist()) == set(range(9))
    small = draw(crop="shifted", size=100)["boxes"]
    assert np.all(small[:, 2:] == 48), "frames that are too small give their largest square"


def test_a_resized_box_has_the_area_and_the_shape_asked_for() -> None:
    boxes = draw(scale=(0.5, 0.9), ratio=(0.8, 1.25), shape=(1000, 1000))["boxes"]
    areas, ratios = boxes[:, 2] * boxes[:, 3] / 1e6, boxes[:, 3] / boxes[:, 2]
    assert 0.495 < areas.min() < 0.51
    assert 0.89 < areas.max() < 0.905
    assert 0.79 < ratios.min() < 0.82
    assert 1.22 < ratios.max() < 1.26
    assert abs(np.log(ratios).mean()) < 0.01


def test_the_rest_stays_in_its_bounds() -> None:
    drawn = draw(flip=0.25, rotation=10, brightness=0.2, contrast=0.3)
    assert 0.2 < drawn["flips"].mean() < 0.3
    for name, low, high in (("angles", -10, 10), ("brightness", 0.8, 1.2), ("contrast", 0.7, 1.3)):
        assert low <= drawn[name].min() < low + 0.1
        assert high - 0.1 < drawn[name].max() <= high


def test_nothing_changes_by_default_but_box_and_side() -> None:
    drawn = draw()
    assert not drawn["angles"].any()
    assert np.all(drawn["brightness"] == 1)
    assert np.all(drawn["contrast"] == 1)


def test_without_chance_the_middle_is_seen_as_it_is() -> None:
    sizes = np.array([[64, 48], [30, 90]], np.int32)
    seen = Augmentation(rotation=10, flip=1, brightness=0.5).without_chance(sizes, 40)
    assert seen["boxes"].tolist() == [[8, 0, 48, 48], [0, 30, 30, 30]]
    assert not seen["flips"].any()
    assert not seen["angles"].any()
    assert Augmentation(crop="shifted").without_chance(sizes, 40)["boxes"].tolist() == [
        [12, 4, 40, 40],
        [0, 30, 30, 30],
    ]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"crop": "random"}, "crop must be one of"),
        ({"scale": (0.0, 1.0)}, "scale must be ascending, above 0 and at most 1, but is"),
        ({"scale": (0.9, 0.8)}, "scale must be ascending"),
        ({"ratio": (2.0, 1.0)}, "ratio must be ascending"),
        ({"flip": 1.5}, "flip must be 0 to 1, but is 1.5"),
        ({"rotation": 90.0}, "rotation must be 0 to 45 degrees"),
        ({"contrast": 1.0}, "contrast must be at least 0 and below 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Augmentation(**setting)  # type: ignore[arg-type]
