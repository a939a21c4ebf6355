"""Means, standard deviations and paired differences over seeds, with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Z = 1.959963984540054  # of the normal distribution, 97.5 %
_T = (
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448,
    2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484,
    2.0452, 2.0423,
)  # fmt: skip


def t_quantile(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t; above 30 degrees of freedom by its expansion, exact to 1e-4."""
    assert degrees >= 1
    if degrees <= len(_T):
        return _T[degrees - 1]
    z, n = _Z, float(degrees)
    return z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)


@dataclass(frozen=True)
class Spread:
    """The mean and the standard deviation of some values."""

    mean: float
    deviation: float | None  # None for a single value
    count: int

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Spread | None:
        """Return mean and deviation of the values that are known."""
        known = np.array([value for value in values if value is not None and not np.isnan(value)], np.float64)
        if not len(known):
            return None
        return cls(float(known.mean()), float(known.std(ddof=1)) if len(known) > 1 else None, len(known))

    @property
    def error(self) -> float | None:
        """The standard error of the mean."""
        return None if self.deviation is None else self.deviation / self.count**0.5

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of the mean, by Student's t."""
        if self.error is None:
            return None
        half = t_quantile(self.count - 1) * self.error
        return self.mean - half, self.mean + half


def paired(ours: dict[str, float | None], theirs: dict[str, float | None]) -> Spread | None:
    """Return mean and deviation of the differences, over the seeds that both have."""
    both = [(ours[unit], theirs[unit]) for unit in ours if unit in theirs]
    return Spread.of([one - other for one, other in both if one is not None and other is not None])


def gap_share(ours: float, plain: float, oracle: float) -> float | None:
    """Return the share of the gap from plain to the oracle that is closed; None if the oracle is not ahead."""
    return (ours - plain) / (oracle - plain) if oracle > plain else None


def large_classes(counts: NDArray[np.int64], least: int) -> NDArray[np.bool_]:
    """Mark the classes that have enough test clips for a meaningful recall; if none has, mark all.

    `counts` is the confusion matrix, true by predicted.
    """
    large: NDArray[np.bool_] = counts.sum(axis=1) >= least
    return large if large.any() else np.ones_like(large)


def uar_of(counts: NDArray[np.int64], classes: NDArray[np.bool_]) -> float | None:
    """Return the mean recall of some classes, those without any clip left out."""
    totals = counts.sum(axis=1)
    used = classes & (totals > 0)
    return float((np.diag(counts)[used] / totals[used]).mean()) if used.any() else None
