"""Symmetric cross entropy (Wang et al., ICCV 2019): cross entropy and its reverse, which tolerates wrong labels."""

from __future__ import annotations

from torch import Tensor

from sciu.models.losses.cross_entropy import cross_entropy
from sciu.models.losses.label_doubt import label_doubt


def symmetric_cross_entropy(
    logits_BK: Tensor, labels_B: Tensor, *, alpha: float = 0.1, beta: float = 1.0, log_of_zero: float = -4.0
) -> Tensor:
    """Return alpha * cross entropy + beta * reverse cross entropy for each clip; defaults are the paper's for CIFAR-10.

    The reverse takes the logarithm of a one-hot label: `log_of_zero` is the paper's A. Public codes clamp the
    label at 1e-4 instead, which is -9.2.
    """
    reverse_B = -log_of_zero * label_doubt(logits_BK, labels_B)
    return alpha * cross_entropy(logits_BK, labels_B) + beta * reverse_B
