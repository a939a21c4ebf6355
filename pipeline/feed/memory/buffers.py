"""Memory for batches on the host, reused once nothing refers to it.

Fresh memory costs a page fault and zeroing for every 4 KiB, as much as writing the batch into it.
"""

from __future__ import annotations

import ctypes
import math
import sys

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_LARGEST_KEPT = 32 << 20  # glibc always allocates larger pieces from the kernel


def keep_freed_memory() -> None:
    """Make glibc keep freed memory: DALI frees its batches, and fresh pages cost 5 to 15 % of an epoch."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries lack it
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


class Buffers:
    """Reusable arrays. A tensor made from one, and every view of the tensor, holds a reference to the array."""

    def __init__(self) -> None:
        self._arrays: list[NDArray[np.uint8]] = []

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """Return memory that nothing refers to, uninitialised."""
        size = math.prod(shape)
        free = [place for place in range(len(self._arrays)) if _holders(self._arrays, place) == _NOBODY]
        fitting = [place for place in free if len(self._arrays[place]) >= size]
        array = self._arrays[fitting[0]] if fitting else np.empty(size, np.uint8)
        dropped = (set(free) - set(fitting)) | set(fitting[1:][_MOST_SPARE:])
        self._arrays = [each for place, each in enumerate(self._arrays) if place not in dropped]
        if not fitting:
            self._arrays.append(array)
        return torch.from_numpy(array)[:size].view(shape)


def _holders(arrays: list[NDArray[np.uint8]], place: int) -> int:
    return sys.getrefcount(arrays[place])


_NOBODY = _holders([np.empty(1, np.uint8)], 0)  # the count differs between versions of Python
_MOST_SPARE = 3


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device without waiting for the copy."""
    if tensor.device == device:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
