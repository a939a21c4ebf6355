"""Decoded clips kept whole, as uint8, within a budget of bytes, so that later epochs only copy frames."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from sciu.pipeline.errors import require
from sciu.pipeline.feed.memory.arena import BLOCK, Arena

_LARGEST_SHARE = 1 / 64  # of the budget, per clip: a batch of long videos would fill memory during decoding


@dataclass
class Cache:
    """Keeps the first clips that fit; evicted clips free their memory."""

    budget: int  # bytes
    device: str = "cpu"
    bytes: int = 0
    _clips: dict[int, Tensor] = field(default_factory=dict)
    _pieces: dict[int, Tensor] = field(default_factory=dict)  # the memory of each clip
    _promised: dict[int, Tensor] = field(default_factory=dict)  # memory for clips that are being decoded
    _arena: Arena | None = field(default=None, init=False)  # on a device only

    def __post_init__(self) -> None:
        require(self.budget >= 0, "cache bytes", "at least 0", self.budget)

    @property
    def on_gpu(self) -> bool:
        """Whether clips are kept on a GPU."""
        return self.device != "cpu"

    def __len__(self) -> int:
        return len(self._clips)

    def get(self, clip: int) -> Tensor | None:
        """Return all frames of a clip, [frames, H, W, 3], or None."""
        return self._clips.get(clip)

    def promise(self, clip: int, size: int) -> bool:
        """Reserve memory for a clip that is about to be decoded; return whether there was enough."""
        if not 0 < size <= self.budget * _LARGEST_SHARE or self.bytes + size > self.budget:
            return False
        if (piece := self._room(size)) is None:
            return False
        self._promised[clip] = piece
        self.bytes += piece.nbytes
        return True

    def keep(self, clip: int, frames: Tensor) -> None:
        """Store a clip that has reserved memory; drop it if it needs more than that."""
        piece = self._promised.pop(clip)
        if frames.nbytes > piece.nbytes:
            self._give_back(piece)
            return
        # A copy: decoders return parts of a batch, and a part would keep the whole batch in memory.
        self._clips[clip] = piece[: frames.nbytes].view(frames.shape).copy_(frames)
        self._pieces[clip] = piece

    def break_promises(self) -> None:
        """Release the memory reserved for clips that were never decoded."""
        while self._promised:
            self._give_back(self._promised.popitem()[1])

    def clear(self) -> None:
        """Remove all clips and release their memory."""
        self._clips.clear()
        self._pieces.clear()
        self._promised.clear()
        self._arena = None
        self.bytes = 0

    def evict(self, clip: int) -> None:
        """Remove a clip and release its memory."""
        if self._clips.pop(clip, None) is not None:
            self._give_back(self._pieces.pop(clip))

    def _room(self, size: int) -> Tensor | None:
        if not self.on_gpu:
            return torch.empty(size, dtype=torch.uint8)
        if self._arena is None:
            self._arena = Arena(torch.device(self.device), self.budget, min(BLOCK, self.budget))
        return self._arena.take(size)

    def _give_back(self, piece: Tensor) -> None:
        self.bytes -= piece.nbytes
        if self._arena is not None:
            self._arena.give_back(piece)
