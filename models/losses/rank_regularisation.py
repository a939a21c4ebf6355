"""Rank regularisation (SCN, Wang et al., CVPR 2020): the better part of a batch must outweigh the rest by a margin.

Without it SCN's clip weights collapse to 1.
"""

from __future__ import annotations

from torch import Tensor


def rank_regularisation(weight_B: Tensor, *, beta: float = 0.7, margin: float = 0.15) -> Tensor:
    """Return max(0, margin - (mean of the highest beta of the clip weights - mean of the others)), a scalar.

    The margin is for batches of 1,024; SCN's users found .07 for 64.
    """
    ordered_B = weight_B.float().sort(descending=True).values
    split = min(max(1, int(beta * len(ordered_B))), len(ordered_B) - 1)
    if split < 1:  # one clip alone has no rank
        return ordered_B.sum() * 0.0
    gap = ordered_B[:split].mean() - ordered_B[split:].mean()
    return (margin - gap).clamp_min(0.0)
