"""Fine-grained correction (Eq. 8 to 13): a clip that is always clearly predicted as another class is of that class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sciu.purification.store.evidence import Evidence


def candidates(evidence: Evidence, label: NDArray[np.int16], window: int) -> NDArray[np.bool_]:
    """Return where the last t predictions agree on a class that is not the label (Eq. 8)."""
    return (evidence.scores >= window) & (evidence.predicted >= 0) & (evidence.predicted != label)


def corrected(evidence: Evidence, label: NDArray[np.int16], window: int, threshold: float) -> NDArray[np.bool_]:
    """Return where the predicted class also exceeds the label by strictly more than tau (Eq. 9 to 12)."""
    with np.errstate(invalid="ignore"):  # NaN where predictions disagree: never above
        return candidates(evidence, label, window) & (evidence.delta > threshold)
