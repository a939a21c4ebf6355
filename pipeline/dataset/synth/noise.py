"""Plant exactly the requested number of wrong labels, with the kinds of errors that annotators make."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset.synth.expressions import CLASSES
from sciu.pipeline.errors import SettingError

Labels = NDArray[np.int64]

# Probability that a clip of the row's class is labelled as the column's. Six rows are the face-only single votes of
# CREMA-D; it has no surprise, so that row and column are our assumption, after its common confusion with fear.
_CONFUSION = np.array(
    [  # happy  sad neutral angry surprise disgust fear
        [0.88, 0.01, 0.09, 0.01, 0.00, 0.01, 0.01],  # happy
        [0.02, 0.32, 0.41, 0.03, 0.00, 0.10, 0.12],  # sad
        [0.04, 0.08, 0.72, 0.04, 0.00, 0.08, 0.04],  # neutral
        [0.03, 0.02, 0.14, 0.57, 0.00, 0.19, 0.05],  # angry
        [0.06, 0.02, 0.08, 0.02, 0.62, 0.04, 0.16],  # surprise
        [0.01, 0.20, 0.06, 0.08, 0.00, 0.54, 0.10],  # disgust
        [0.02, 0.14, 0.22, 0.09, 0.10, 0.10, 0.34],  # fear
    ]
)


def mislabel(
    labels: Labels, intensity: NDArray[np.float64], count: int, kind: str, classes: int, rng: np.random.Generator
) -> Labels:
    """Return the labels with exactly `count` of them wrong; `intensity` is the strength of each clip's expression."""
    order = rng.permutation(len(labels))
    if kind == "runs":
        wrong = _confirmation_bias(labels, order, rng)
    elif kind == "weak":
        wrong = _weak_as_neutral(labels, intensity)
    else:
        wrong = _confuse(labels, order, count, kind, classes, rng)
    if len(wrong) < count:
        raise SettingError(
            f"--noise {kind} can mislabel at most {len(wrong)} of these {len(labels)} clips, but {count} are requested."
        )
    noisy = labels.copy()
    for clip, label in wrong[:count]:
        noisy[clip] = label
    return noisy


KINDS = ("sym", "pair", "matrix", "weak", "runs")


def _confuse(
    labels: Labels, order: Labels, count: int, kind: str, classes: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Draw clips, weighted by how often their class is confused, and another label for each by its class's row."""
    chances = _off_diagonal(kind, classes)
    keys = rng.exponential(size=len(order)) / chances.sum(axis=1)[labels[order]]  # a weighted draw without replacement
    drawn = order[np.argsort(keys, kind="stable")][:count]
    chances /= chances.sum(axis=1, keepdims=True)
    return [(int(clip), int(rng.choice(classes, p=chances[labels[clip]]))) for clip in drawn]


def _off_diagonal(kind: str, classes: int) -> NDArray[np.float64]:
    if kind == "pair":
        return np.roll(np.eye(classes), 1, axis=1)
    chances = _CONFUSION[:classes, :classes].copy() if kind == "matrix" else np.ones((classes, classes))
    np.fill_diagonal(chances, 0.0)
    return chances


def _weak_as_neutral(labels: Labels, intensity: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Label the weakest expressions neutral."""
    neutral = CLASSES.index("neutral")
    weakest = np.argsort(intensity, kind="stable")
    return [(int(clip), neutral) for clip in weakest if labels[clip] != neutral]


def _confirmation_bias(labels: Labels, order: Labels, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Simulate an annotator who repeats a label over runs of four to eight clips in a random order."""
    wrong, start = [], 0
    while start < len(order):
        length = int(rng.integers(4, 9))
        first, *rest = order[start : start + length]
        wrong += [(int(clip), int(labels[first])) for clip in rest if labels[clip] != labels[first]]
        start += length
    return wrong
