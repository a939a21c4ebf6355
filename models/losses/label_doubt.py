"""The probability that the label is not the class, from which bounded losses are made."""

from __future__ import annotations

from torch import Tensor


def label_doubt(logits_BK: Tensor, labels_B: Tensor) -> Tensor:
    """Return 1 - p of the label; 0 for clips that are scored only."""
    labels_B = labels_B.long()
    own_B = logits_BK.float().softmax(dim=1).gather(1, labels_B.clamp_min(0)[:, None]).squeeze(1)
    return (1.0 - own_B) * (labels_B >= 0)
