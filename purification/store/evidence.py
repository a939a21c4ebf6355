"""The evidence in a clip's last scores: the quantities that the rules compare (Eq. 2, 3 and 8 to 11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.purification.store.score_plane import Plane

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """By clip id. Sums are exact: scores in half precision have products of 48 bits, of which 32 fit a double."""

    scores: NDArray[np.uint8]  # how many of the last t there are
    confidence: Floats  # S_T: mean of the predicted class's s
    own: Floats  # mean s of the current label
    delta: Floats  # mean s[predicted] - mean s[label]; NaN where the prediction was not stable
    predicted: NDArray[np.int16]  # the class of the last t predictions where they agree, else -1
    weight: Floats  # mean w
    running_KN: NDArray[np.float16] | None = None  # running average of p, for policies that keep one
    before: Mapping[str, float] = field(default_factory=dict)  # the thresholds of the decision before this one

    @classmethod
    def join(cls, parts: Sequence[Evidence]) -> Evidence:
        """Concatenate blocks."""
        columns: dict[str, Any] = {
            column.name: np.concatenate([getattr(part, column.name) for part in parts])
            for column in fields(cls)
            if column.name not in ("running_KN", "before")
        }
        return cls(**columns)


def weigh(
    planes: Sequence[Plane], used: Sequence[NDArray[np.bool_]], label: NDArray[np.int16], *, weighted: bool = True
) -> Evidence:
    """Average the scores in use over a block of clips. If not weighted, s is p alone, as SCN compares it."""
    clips = len(label)
    total = {name: np.zeros(clips) for name in ("confidence", "own", "weight")}
    count = np.zeros(clips, np.uint8)
    predicted = np.full(clips, -1, np.int16)
    stable = np.ones(clips, np.bool_)
    column, rows = np.maximum(label, 0), np.arange(clips)
    for plane, here in zip(planes, used, strict=True):
        if not here.any():
            continue
        top, highest = _highest(plane.probs_KN)
        weight = plane.weight_N.astype(np.float64) * here
        factor = weight if weighted else here.astype(np.float64)
        total["confidence"] += factor * highest
        total["own"] += factor * plane.probs_KN[column, rows]
        total["weight"] += weight
        stable &= ~here | (predicted == -1) | (predicted == top)
        predicted = np.where(here, top, predicted)
        count += here
    mean = {name: values / np.maximum(count, 1) for name, values in total.items()}
    stable &= count > 0
    return Evidence(
        scores=count, predicted=np.where(stable, predicted, -1).astype(np.int16),
        delta=np.where(stable, mean["confidence"] - mean["own"], np.nan), confidence=mean["confidence"],
        own=mean["own"], weight=mean["weight"],
    )  # fmt: skip


def _highest(probs_KN: NDArray[np.float16]) -> tuple[NDArray[np.int16], Floats]:
    """Return the most probable class (the first among equals) and its probability.

    Compared as integers: the bits of half floats that are not negative are in their order, and numpy has no fast
    comparison of half floats.
    """
    bits_KN = probs_KN.view(np.uint16)
    highest, top = bits_KN[0].copy(), np.zeros(bits_KN.shape[1], np.int16)
    for k in range(1, len(bits_KN)):
        better = bits_KN[k] > highest
        top[better] = k
        np.maximum(highest, bits_KN[k], out=highest)
    return top, highest.view(np.float16).astype(np.float64)
