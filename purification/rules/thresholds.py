"""Thresholds that follow the data: lambda from the shape of the scores, tau from the noise that they show.

docs/experiments/rules.md has the measurements behind the choices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sciu.purification.rules.fgc import candidates
from sciu.purification.store.evidence import Evidence, Floats

_FEWEST = 20  # clips from which a shape can be recognised
_GRID = 201  # places from 0 to 1
_NARROWEST = 0.02  # hill that is distinguished from its neighbour
_DEPTH = 0.5  # of a valley: below half of the lower hill beside it
_CHANCE = 3.0  # standard deviations of a count, which a valley must be deeper than
_HIGHEST_LAMBDA = 0.5  # above it the best class exceeds all others together: unsure, but not unusable
_LOWEST_TAU = 0.2  # the paper's; below it a weak network corrects right labels


def lambda_from_scores(confidence: Floats) -> float:
    """Return the lowest deep valley of the scores, 0 if there is none: nothing is pruned without a hill below it.

    Fitting two normal distributions instead was tried: it cuts a broad hill in two and prunes half of a clean dataset.
    """
    clips = len(confidence)
    if clips < _FEWEST:
        return 0.0
    height = _smoothed(confidence)
    hill = np.minimum(np.maximum.accumulate(height), np.maximum.accumulate(height[::-1])[::-1])
    below = np.histogram(confidence, bins=_GRID, range=_RANGE)[0].cumsum()
    deep = (height < _DEPTH * hill) & (hill - height > _CHANCE * np.sqrt(hill))
    place = np.linspace(0, 1, _GRID)
    deep &= (below >= _FEWEST // 4) & (clips - below >= clips / 4) & (place <= _HIGHEST_LAMBDA)
    valley = np.flatnonzero(deep)
    if not len(valley):
        return 0.0
    lowest = np.split(valley, np.flatnonzero(np.diff(valley) > 1) + 1)[0]
    return float(place[lowest[height[lowest].argmin()]])


_RANGE = (-0.5 / (_GRID - 1), 1 + 0.5 / (_GRID - 1))


def _smoothed(confidence: Floats) -> Floats:
    """Return the number of clips around each place, mirrored at 0 and 1; the width is Silverman's rule."""
    quartiles = float(np.subtract(*np.percentile(confidence, [75, 25]))) / 1.34
    deviation = min(float(confidence.std()), quartiles or float(confidence.std()))
    width = max(_NARROWEST, 0.9 * deviation * len(confidence) ** -0.2)
    counts = np.histogram(confidence, bins=_GRID, range=_RANGE)[0]
    mirrored = np.concatenate([counts[::-1], counts, counts[::-1]]).astype(np.float64)
    steps = np.arange(-_GRID // 2, _GRID // 2 + 1) / (_GRID - 1)
    return np.convolve(mirrored, np.exp(-0.5 * (steps / width) ** 2), "same")[_GRID : 2 * _GRID]


def tau_from_noise(evidence: Evidence, label: NDArray[np.int16], training: NDArray[np.bool_], window: int) -> float:
    """Return the tau that relabels as many clips as seem to be mislabelled.

    Those are always predicted as another class, with at least the mean confidence of the clips that are always
    predicted as that class and labelled so (the counting rule of confident learning, made careful: with the mean
    over all clips of a label, as published, a network that is still learning counted far too many).
    """
    judged = training & (evidence.scores >= window)
    eligible = judged & candidates(evidence, label, window)
    delta = np.sort(evidence.delta[eligible])[::-1]
    classes = max(label.max(initial=0), evidence.predicted.max(initial=0)) + 1
    agreed = judged & (evidence.predicted == label)
    usual = np.array([_mean(evidence.confidence[agreed & (label == k)]) for k in range(classes)])
    wrong = int((evidence.confidence[eligible] >= usual[evidence.predicted[eligible]]).sum())
    if wrong >= len(delta):
        return _LOWEST_TAU
    return max(_LOWEST_TAU, float(delta[wrong]))


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else 1.0
