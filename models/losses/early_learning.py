"""Early-learning regularisation (Liu et al., NeurIPS 2020): pull a clip towards its earlier predictions.

A network learns right labels first and memorises wrong ones later. The pull towards the average of its earlier
predictions outweighs the gradient of a label that contradicts them.
"""

from __future__ import annotations

import torch
from torch import Tensor

_MOST_ALIKE = 1 - 1e-4  # where the logarithm still has a slope


def early_learning(logits_BK: Tensor, average_BK: Tensor, *, kept: float = 0.7) -> Tensor:
    """Return log(1 - <t, p>) for each clip, where t is its average with this prediction, without gradient in t."""
    probs_BK = logits_BK.float().softmax(dim=1)
    target_BK = kept * average_BK + (1 - kept) * probs_BK.detach()
    return torch.log(1 - (target_BK * probs_BK).sum(dim=1).clamp_max(_MOST_ALIKE))
