"""Coarse-grained pruning (Eq. 3 to 6): a clip whose mean score is not above lambda is unusable."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sciu.purification.store.evidence import Floats


def pruned(confidence: Floats, scores: NDArray[np.uint8], window: int, threshold: float) -> NDArray[np.bool_]:
    """Return which clips to prune: those with all their scores whose S_T is not strictly above the threshold."""
    return (scores >= window) & ~(confidence > threshold)


def restored(confidence: Floats, scores: NDArray[np.uint8], threshold: float) -> NDArray[np.bool_]:
    """Return which pruned clips to restore: those whose scores since they were pruned are above the threshold."""
    return (scores > 0) & (confidence > threshold)
