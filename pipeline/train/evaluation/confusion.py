"""Recall, weighted and unweighted, from one matrix of counts: true class by predicted class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.train.record.epoch_record import SplitResult

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often each class was predicted as each."""

    counts: Counts  # [true, predicted]

    @classmethod
    def of(cls, labels: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> Confusion:
        """Count the predictions by true class; labels below 0 are left out."""
        labelled = labels >= 0
        cells = labels[labelled].astype(np.int64) * classes + predicted[labelled]
        return cls(np.bincount(cells, minlength=classes * classes).reshape(classes, classes))

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(self.counts + other.counts)

    @property
    def clips(self) -> int:
        """Number of clips counted."""
        return int(self.counts.sum())

    def result(self, classes: Sequence[str], asked: int) -> SplitResult:
        """Return plain numbers; `asked` clips were to be evaluated."""
        recalls = {
            name: None if np.isnan(value) else float(value) for name, value in zip(classes, self.recalls, strict=True)
        }
        return SplitResult(
            clips=self.clips, unreadable=asked - self.clips, war=self.war, uar=self.uar,
            recalls=recalls, confusion=self.counts.tolist(),
        )  # fmt: skip

    @property
    def recalls(self) -> NDArray[np.float64]:
        """Share of each class's clips that were recognised; NaN for a class without clips."""
        totals = self.counts.sum(axis=1)
        return np.divide(np.diag(self.counts), totals, out=np.full(len(totals), np.nan), where=totals > 0)

    @property
    def war(self) -> float:
        """Weighted average recall: the share of all clips, which is the accuracy."""
        return float(np.trace(self.counts) / self.clips) if self.clips else float("nan")

    @property
    def uar(self) -> float:
        """Unweighted average recall: the mean over the classes that have clips."""
        known = self.recalls[~np.isnan(self.recalls)]
        return float(known.mean()) if len(known) else float("nan")
