"""Memory for batches on the host, used again once nobody holds it.

Fresh memory costs a page fault and zeroing for every 4 KiB: as much as writing the batch into it.
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
_LARGEST_KEPT = 32 << 20  # more than that glibc takes fresh from the kernel, always


def keep_freed_memory() -> None:
    """Ask glibc to keep what this process frees: DALI frees its batches, and fresh pages cost 5 to 15 % of an epoch."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries have none
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


class Buffers:
    """Pieces of memory. A tensor made of one, and every view of it, holds its array."""

    def __init__(self) -> None:
        self._arrays: list[NDArray[np.uint8]] = []

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """Return memory that nobody holds, whatever is in it."""
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


_NOBODY = _holders([np.empty(1, np.uint8)], 0)  # how Python counts differs between its versions
_MOST_SPARE = 3


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Move a tensor without waiting for it."""
    if tensor.device == device:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
