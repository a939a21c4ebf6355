"""Symmetric cross entropy (Wang et al., ICCV 2019): cross entropy and its mirror image, which forgives wrong labels."""

from __future__ import annotations

from torch import Tensor

from sciu.models.losses.cross_entropy import cross_entropy

_LOG_OF_ZERO = -4.0  # the mirror image takes the logarithm of a one-hot label; the paper's A


def symmetric_cross_entropy(logits_BK: Tensor, labels_B: Tensor, *, alpha: float = 0.1, beta: float = 1.0) -> Tensor:
    """Alpha * cross entropy + beta * reverse cross entropy, a value a clip; defaults as the paper has for CIFAR-10."""
    probability_B = logits_BK.float().softmax(dim=1).gather(1, labels_B[:, None]).squeeze(1)
    reverse_B = -_LOG_OF_ZERO * (1.0 - probability_B)
    return alpha * cross_entropy(logits_BK, labels_B) + beta * reverse_B
