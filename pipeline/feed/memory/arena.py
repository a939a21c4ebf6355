"""A device's memory for clips: allocated in large blocks as needed, taken in pieces, and given back for reuse.

One allocation per clip would cost a call to the driver each, and fragment the memory. A block belongs to the stream
that is current when it is allocated: torch may return memory that earlier work of that stream still uses.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

_ALIGNED = 256  # bytes; the driver's own alignment
BLOCK = 256 << 20  # bytes


def rounded(size: int) -> int:
    """Return the size of a piece for this many bytes, aligned."""
    return -(-size // _ALIGNED) * _ALIGNED


@dataclass(eq=False)
class Arena:
    """Blocks of equal size, and the free spans of each, ascending."""

    device: torch.device
    budget: int  # bytes
    block: int = BLOCK
    _blocks: list[Tensor] = field(default_factory=list)
    _free: list[list[tuple[int, int]]] = field(default_factory=list)
    _taken: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # by address: block, begin, end

    def take(self, size: int) -> Tensor | None:
        """Return the first free piece of this many bytes that fits, or None."""
        needed = rounded(size)
        for number, spans in enumerate(self._free):
            for place, (begin, end) in enumerate(spans):
                if end - begin >= needed:
                    spans[place : place + 1] = [(begin + needed, end)] if end - begin > needed else []
                    return self._piece(number, begin, begin + needed)[:size]
        return self.take(size) if needed <= self.block and self._grow() else None

    def _grow(self) -> bool:
        """Allocate another block, if the budget and the device allow it."""
        if (len(self._blocks) + 1) * self.block > self.budget:
            return False
        try:
            self._blocks.append(torch.empty(self.block, dtype=torch.uint8, device=self.device))
        except torch.OutOfMemoryError:  # another user of the device took it; the existing blocks remain
            self.budget = len(self._blocks) * self.block
            return False
        self._free.append([(0, self.block)])
        return True

    def give_back(self, piece: Tensor) -> None:
        """Free the piece and merge it with its free neighbours."""
        number, begin, end = self._taken.pop(piece.data_ptr())
        joined: list[tuple[int, int]] = []
        for span in sorted([*self._free[number], (begin, end)]):
            if joined and joined[-1][1] == span[0]:
                joined[-1] = joined[-1][0], span[1]
            else:
                joined.append(span)
        self._free[number] = joined

    def _piece(self, number: int, begin: int, end: int) -> Tensor:
        piece = self._blocks[number][begin:end]
        self._taken[piece.data_ptr()] = number, begin, end
        return piece
