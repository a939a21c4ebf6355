"""Mean absolute error (Ghosh et al., AAAI 2017): bounded, so that no wrong label dominates."""

from __future__ import annotations

from torch import Tensor

from sciu.models.losses.label_doubt import label_doubt


def mean_absolute_error(logits_BK: Tensor, labels_B: Tensor) -> Tensor:
    """Return the sum of |probability - one-hot label| over the classes for each clip: 2 * (1 - p of the label)."""
    return 2.0 * label_doubt(logits_BK, labels_B)
