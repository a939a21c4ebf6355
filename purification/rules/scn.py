"""SCN's relabelling: a clip takes the predicted class where Pmax - Pgt is above a margin, in its last epoch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sciu.purification.rules.fgc import corrected
from sciu.purification.store.evidence import Evidence


def relabelled(
    evidence: Evidence, label: NDArray[np.int16], training: NDArray[np.bool_], threshold: float, low_share: float
) -> NDArray[np.bool_]:
    """Return which clips to relabel; `low_share` below 1 limits it to the clips of lowest weight, as in the paper."""
    scored = training & (evidence.scores > 0)
    chosen = corrected(evidence, label, 1, threshold) & training
    if low_share >= 1 or not scored.any():
        return chosen
    border = np.quantile(evidence.weight[scored], low_share)
    return chosen & (evidence.weight <= border)
