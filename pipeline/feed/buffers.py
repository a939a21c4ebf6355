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

_HELD_BY_US = 3  # the list, the loop's variable, getrefcount's argument


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
        for array in self._arrays:
            if len(array) >= size and sys.getrefcount(array) == _HELD_BY_US:
                return torch.from_numpy(array)[:size].view(shape)
        self._arrays = [array for array in self._arrays if len(array) >= size]
        self._arrays.append(np.empty(size, np.uint8))
        return torch.from_numpy(self._arrays[-1]).view(shape)
