"""Crop and augmentation of a clip, the same for all of its frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.errors import require
from sciu.pipeline.feed.plan.draws import Draw, Draws

CROPS = {
    "resized": "a box of random size and shape, resized; in testing the largest centred square",
    "shifted": "a box of the output size at a random place, not resized; in testing the centred box",
    "centre": "always the largest centred square",
}


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The random changes of clips in training."""

    crop: str = "resized"
    scale: tuple[float, float] = (0.8, 1.0)  # the box's area as a share of the largest square's
    ratio: tuple[float, float] = (0.9, 1.1)  # the box's width : height
    flip: float = 0.5  # probability
    rotation: float = 0.0  # maximum degrees, to either side
    brightness: float = 0.0  # factor 1 - this to 1 + this
    contrast: float = 0.0  # the same, about middle grey

    def __post_init__(self) -> None:
        require(self.crop in CROPS, "crop", f"one of {list(CROPS)}", repr(self.crop))
        require(0 < self.scale[0] <= self.scale[1] <= 1, "scale", "ascending, above 0 and at most 1", self.scale)
        require(0 < self.ratio[0] <= self.ratio[1], "ratio", "ascending and above 0", self.ratio)
        require(0 <= self.flip <= 1, "flip", "0 to 1", self.flip)
        require(0 <= self.rotation <= 45, "rotation", "0 to 45 degrees", self.rotation)
        for name in ("brightness", "contrast"):
            require(0 <= getattr(self, name) < 1, name, "at least 0 and below 1", getattr(self, name))

    def draw(self, sizes: NDArray[np.int32], size: int, draws: Draws) -> dict[str, Any]:
        """Draw boxes and augmentation for clips of these sizes, [N, 2]: height and width."""
        boxes = self._resized(sizes, draws) if self.crop == "resized" else self._squares(sizes, size)
        places = np.stack([draws.uniform(Draw.TOP), draws.uniform(Draw.LEFT)], axis=1)
        return {
            "boxes": _placed(sizes, boxes, np.full_like(places, 0.5) if self.crop == "centre" else places),
            "flips": draws.uniform(Draw.FLIP) < self.flip,
            "angles": draws.uniform(Draw.ANGLE, -self.rotation, self.rotation).astype(np.float32),
            "brightness": _about_one(draws.uniform(Draw.BRIGHTNESS), self.brightness),
            "contrast": _about_one(draws.uniform(Draw.CONTRAST), self.contrast),
        }

    def without_chance(self, sizes: NDArray[np.int32], size: int) -> dict[str, Any]:
        """Return the boxes of testing, the middle of the frames, without augmentation."""
        return {
            "boxes": _placed(sizes, self._squares(sizes, size), np.full(sizes.shape, 0.5)),
            "flips": np.zeros(len(sizes), np.bool_),
            "angles": np.zeros(len(sizes), np.float32),
            "brightness": np.ones(len(sizes), np.float32),
            "contrast": np.ones(len(sizes), np.float32),
        }

    def _squares(self, sizes: NDArray[np.int32], size: int) -> NDArray[np.float64]:
        sides = sizes.min(axis=1, keepdims=True).astype(np.float64)
        return np.repeat(np.minimum(sides, size) if self.crop == "shifted" else sides, 2, axis=1)

    def _resized(self, sizes: NDArray[np.int32], draws: Draws) -> NDArray[np.float64]:
        sides = sizes.min(axis=1) * np.sqrt(draws.uniform(Draw.AREA, *self.scale))
        stretch = np.exp(draws.uniform(Draw.RATIO, *np.log(self.ratio)) / 2)
        return np.stack([sides / stretch, sides * stretch], axis=1)


def _placed(sizes: NDArray[np.int32], boxes: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return top, left, height, width in pixels, [N, 4], inside the frames."""
    boxes = np.clip(np.rint(boxes), 1, sizes)
    return np.concatenate([np.floor(places * (sizes - boxes + 1)), boxes], axis=1).astype(np.int32)


def _about_one(chances: NDArray[np.float64], width: float) -> NDArray[np.float32]:
    return (1 + width * (2 * chances - 1)).astype(np.float32)
