"""What every backbone expects of its clips; shapes only, so the check is free in a compiled or captured network."""

from __future__ import annotations

from torch import Tensor

from sciu.models.errors import ModelError


def check_clip(clip_BTCHW: Tensor, *, smallest: int) -> None:
    """Raise an error unless this is a batch of clips whose frames are large enough for the network."""
    shape = tuple(clip_BTCHW.shape)
    if len(shape) != 5 or shape[2] != 3 or 0 in shape:
        raise ModelError(f"clips must be [B, T, 3, H, W], none of them 0, but are {list(shape)}.")
    if not clip_BTCHW.is_floating_point():
        raise ModelError(f"clips must be floating point, cast and normalised, but are {clip_BTCHW.dtype}.")
    if min(shape[-2:]) < smallest:
        raise ModelError(f"frames must be at least {smallest} x {smallest} for this network, but are {shape[-2:]}.")
