"""What a large matrix product reaches on a device, measured rather than taken from a data sheet."""

from __future__ import annotations

import time

import torch

_TRIES = 5


def reachable(device: torch.device, kind: torch.dtype, side: int) -> float:
    """Return the operations a second, the best of a few tries."""
    left = torch.randn(side, side, device=device, dtype=kind)
    best = 0.0
    for _ in range(_TRIES):
        wait(device)
        began = time.perf_counter()
        left @ left
        wait(device)
        best = max(best, 2 * side**3 / (time.perf_counter() - began))
    return best


def wait(device: torch.device) -> None:
    """Wait until the device has done what was queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
