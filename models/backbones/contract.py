"""What every backbone of ours expects of a clip; shapes only, so that a compiled or captured network pays nothing."""

from __future__ import annotations

from torch import Tensor

from sciu.models.errors import ModelError


def check_clip(clip_BTCHW: Tensor, *, smallest: int) -> None:
    """Refuse what is no batch of clips, or frames too small for the network."""
    shape = tuple(clip_BTCHW.shape)
    if len(shape) != 5 or shape[2] != 3 or 0 in shape:
        raise ModelError(f"clips must be [B, T, 3, H, W], none of them 0, but are {list(shape)}.")
    if not clip_BTCHW.is_floating_point():
        raise ModelError(f"clips must be floating point, cast and normalised, but are {clip_BTCHW.dtype}.")
    if min(shape[-2:]) < smallest:
        raise ModelError(f"frames must be at least {smallest} x {smallest} for this network, but are {shape[-2:]}.")
