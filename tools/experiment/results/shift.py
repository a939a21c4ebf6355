"""The control that a method must beat: plain training, its outputs shifted to the class prior that the method found.

Any method that makes rare classes larger or smaller trades WAR for UAR. So does adding `a (log prior' - log prior)` to
the logits of a plain network, which costs nothing. A method on that curve has learnt a prior and no more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.train.evaluation.confusion import Confusion
from sciu.tools.experiment.results.read import PLAIN, Group, Result
from sciu.tools.experiment.results.statistics import Spread, large_classes, uar_of

EXPONENTS = np.arange(0, 3.01, 0.25)
PRIORS = {"now": "the labels that it kept", "predicted": "its predictions"}
_ROUNDING = 1e-9  # of leads that are equal for every seed
_SMOOTH = 0.5  # a class without clips has a prior, too

Floats = NDArray[np.float64]


def shifted(probs_NK: NDArray[np.float32], given_K: Floats, found_K: Floats, exponent: float) -> NDArray[np.int64]:
    """Return the predicted classes after a change of prior; both priors are counts."""
    priors = [np.log((counts + _SMOOTH) / (counts + _SMOOTH).sum()) for counts in (given_K, found_K)]
    logits_NK = np.log(np.maximum(probs_NK.astype(np.float64), 1e-12)) + exponent * (priors[1] - priors[0])
    named: NDArray[np.int64] = logits_NK.argmax(axis=1)
    return named


def curve(plain: Result, found: Result, prior: str, least: int) -> Floats:
    """Return (WAR, UAR of the classes with enough clips) for every exponent, for one seed."""
    arrays = plain.arrays()
    given_K, found_K = (
        np.array(plain.content["train_classes"]["given"]),
        np.array(found.content["train_classes"][prior]),
    )
    points = []
    for exponent in EXPONENTS:
        named = shifted(arrays["test_probs"], given_K, found_K, float(exponent))
        points.append(_point(Confusion.of(arrays["test_labels"], named, len(plain.classes)), least))
    return np.array(points)


def _point(confusion: Confusion, least: int) -> tuple[float, float]:
    return confusion.war, uar_of(confusion.counts, large_classes(confusion.counts, least)) or 0.0


@dataclass(frozen=True)
class Lead:
    """How far a method is ahead of the point of the curves that is hardest for it."""

    prior: str
    exponent: float
    war: Spread
    uar: Spread

    @property
    def best(self) -> Spread:
        """The measure in which the method is further ahead."""
        return max(self.war, self.uar, key=lambda spread: spread.mean)

    @property
    def above(self) -> bool:
        """Whether no point of the curves is at least as good in both."""
        return self.best.mean > 0

    @property
    def errors(self) -> float | None:
        """The lead in standard errors of its paired differences."""
        error = self.best.error
        return self.best.mean / error if error and error > _ROUNDING else None


def lead(group: Group, method: str, least: int) -> Lead | None:
    """Compare a method with plain training shifted by what it found, by seed; None without both, or their outputs."""
    plain, ours = group.of(PLAIN), group.of(method)
    units = [unit for unit in ours if unit in plain and plain[unit].arrays()]
    if not units or method == PLAIN:
        return None
    leads = []
    mine_U2 = np.array([_point(ours[unit].confusion(), least) for unit in units])
    for prior in PRIORS:
        curves_UA2 = np.array([curve(plain[unit], ours[unit], prior, least) for unit in units])
        for number, exponent in enumerate(EXPONENTS):
            war, uar = (Spread.of(list(column)) for column in (mine_U2 - curves_UA2[:, number]).T)
            assert war is not None
            assert uar is not None
            leads.append(Lead(prior, float(exponent), war, uar))
    return min(leads, key=lambda each: each.best.mean)
