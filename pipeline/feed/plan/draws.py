"""Random numbers by name, not in sequence: each is a hash of (seed, epoch, clip id, purpose).

So a clip's draws do not depend on the other clips, on the order of work, or on the progress of an epoch.
The hash is SplitMix64's finaliser, applied once per word.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)

Words = NDArray[np.uint64]


class Draw(IntEnum):
    """The purpose of a random number. Never renumber: old runs must resume exactly."""

    SHARD = 1
    ORDER = 2
    FRAMES = 3
    AREA = 4
    RATIO = 5
    LEFT = 6
    TOP = 7
    FLIP = 8
    ANGLE = 9
    BRIGHTNESS = 10
    CONTRAST = 11
    DROPOUT = 13  # by rank instead of clip; 12 drew validation clips once


class Draws:
    """The random numbers of some clips in an epoch."""

    def __init__(self, seed: int, epoch: int, ids: NDArray[np.int64]) -> None:
        root = _mix(_mix(np.array([seed], np.uint64)) + np.uint64(epoch))
        self._keys = _mix(root + ids.astype(np.uint64))

    def words(self, draw: Draw, count: int = 1) -> Words:
        """Return `count` words of 64 bits per clip, [clips, count]."""
        names = np.uint64(draw << 32) + np.arange(count, dtype=np.uint64)
        return _mix(self._keys[:, None] + names)

    def uniform(self, draw: Draw, low: float = 0.0, high: float = 1.0) -> NDArray[np.float64]:
        """Return a number in [low, high) per clip."""
        return low + (high - low) * _unit(self.words(draw)[:, 0])

    def uniforms(self, draw: Draw, count: int) -> NDArray[np.float64]:
        """Return `count` numbers in [0, 1) per clip, [clips, count]."""
        return _unit(self.words(draw, count))


def _unit(words: Words) -> NDArray[np.float64]:
    return (words >> np.uint64(11)) * 2.0**-53


def _mix(words: Words) -> Words:
    words = words + _STEP  # wraps around, as it must
    words = (words ^ (words >> _SHIFTS[0])) * _FACTORS[0]
    words = (words ^ (words >> _SHIFTS[1])) * _FACTORS[1]
    return words ^ (words >> _SHIFTS[2])
