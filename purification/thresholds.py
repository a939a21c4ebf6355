"""Thresholds that follow the data: lambda from the shape of the scores, tau from the noise that they show.

docs/experiments/thresholds.md has the measurements behind the choices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sciu.purification.evidence import Evidence, Floats
from sciu.purification.fgc import candidates

_BINS = 200
_ROUNDS = 200
_SEPARATION = 2.0  # Ashman's D: below it two normal distributions make one hill
_FEWEST = 20  # clips from which a shape can be told
_LOWEST_TAU = 0.05


def lambda_from_scores(confidence: Floats) -> float:
    """Return where a low hill of scores ends and the high one begins; 0 where there is only one hill.

    Two normal distributions are fitted to the histogram (EM, from Otsu's split); the border is where a score is as
    likely of one as of the other.
    """
    if len(confidence) < _FEWEST:
        return 0.0
    counts, edges = np.histogram(confidence, bins=_BINS, range=(0.0, 1.0))
    x = (edges[:-1] + edges[1:]) / 2
    share, mean, spread = _fit_two(x, counts, _otsu(x, counts))
    distance = (mean[1] - mean[0]) / np.sqrt((spread**2).mean())
    if not distance > _SEPARATION or min(share) * len(confidence) < _FEWEST / 4:
        return 0.0
    between = (x > mean[0]) & (x < mean[1])
    low, high = (share[k] * _normal(x, mean[k], spread[k]) for k in (0, 1))
    crossed = np.flatnonzero(between & (high >= low))
    return float(x[crossed[0]]) if len(crossed) else 0.0


def _otsu(x: Floats, counts: NDArray[np.int64]) -> float:
    """Return the split with the largest variance between its two sides."""
    below, above = counts.cumsum(), counts.sum() - counts.cumsum()
    moment = (counts * x).cumsum()
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (moment / below - (moment[-1] - moment) / above) ** 2
    return float(x[np.nanargmax(between)])


def _fit_two(x: Floats, counts: NDArray[np.int64], split: float) -> tuple[Floats, Floats, Floats]:
    """Fit two normal distributions to a histogram: their shares, means and spreads, the lower one first."""
    belongs = np.stack([x <= split, x > split]).astype(np.float64)
    for _ in range(_ROUNDS):
        mass = belongs * counts
        total = np.maximum(mass.sum(axis=1), 1e-9)
        share, mean = total / counts.sum(), (mass @ x) / total
        spread = np.sqrt(np.maximum((mass * (x - mean[:, None]) ** 2).sum(axis=1) / total, (x[1] - x[0]) ** 2))
        density = share[:, None] * np.stack([_normal(x, m, s) for m, s in zip(mean, spread, strict=True)])
        updated = density / np.maximum(density.sum(axis=0), 1e-300)
        if np.abs(updated - belongs).max() < 1e-6:
            break
        belongs = updated
    return share, mean, spread


def _normal(x: Floats, mean: float, spread: float) -> Floats:
    return np.exp(-0.5 * ((x - mean) / spread) ** 2) / spread


def tau_from_noise(evidence: Evidence, label: NDArray[np.int16], training: NDArray[np.bool_], window: int) -> float:
    """Return the tau that relabels as many clips as seem to be mislabelled.

    Seems to be: always taken for another class, with at least the confidence that clips of that class have on average
    in their own label (the counting rule of confident learning, on the scores of one training run).
    """
    eligible = training & candidates(evidence, label, window)
    delta = np.sort(evidence.delta[eligible])[::-1]
    usual = np.array([_mean(evidence.own[training & (label == k)]) for k in range(int(label.max(initial=0)) + 1)])
    usual = np.append(usual, [1.0] * max(0, int(evidence.predicted.max(initial=0)) + 1 - len(usual)))
    wrong = int((evidence.confidence[eligible] >= usual[evidence.predicted[eligible]]).sum())
    if wrong >= len(delta):
        return _LOWEST_TAU
    return max(_LOWEST_TAU, float(delta[wrong]))


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else 1.0
