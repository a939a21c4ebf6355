"""Cross entropy, plain and weighted."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

SCORE_ONLY = -1


def cross_entropy(logits_BK: Tensor, labels_B: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Return the plain cross entropy of each clip."""
    labels_B = labels_B.long().clamp_min(SCORE_ONLY)
    return functional.cross_entropy(
        logits_BK.float(), labels_B, reduction="none", label_smoothing=label_smoothing, ignore_index=SCORE_ONLY
    )


def weighted_cross_entropy(
    logits_BK: Tensor, weight_B: Tensor, labels_B: Tensor, *, label_smoothing: float = 0.0
) -> Tensor:
    """Return the cross entropy of weight * logits (SCIU Eq. 7, and SCN): weight 0 gives the logits no gradient."""
    weighted_BK = weight_B.float()[:, None] * logits_BK.float()
    return cross_entropy(weighted_BK, labels_B, label_smoothing=label_smoothing)
