"""Decoded clips kept whole, as uint8, within a budget of bytes: any epoch's frames of them are then a copy away."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from sciu.pipeline.dataset.errors import require
from sciu.pipeline.feed.arena import BLOCK, Arena

_LARGEST_SHARE = 1 / 64  # of the budget for one clip: a batch of long videos would fill memory while it decodes


@dataclass
class Cache:
    """First come, first kept; what is evicted makes room."""

    budget: int  # bytes
    device: str = "cpu"
    bytes: int = 0
    _clips: dict[int, Tensor] = field(default_factory=dict)
    _promised: dict[int, int] = field(default_factory=dict)  # bytes of clips that are being decoded
    _arena: Arena | None = field(default=None, init=False)  # of a device; the host's memory needs none

    def __post_init__(self) -> None:
        require(self.budget >= 0, "cache bytes", "at least 0", self.budget)

    @property
    def on_gpu(self) -> bool:
        """Whether clips are kept on a device."""
        return self.device != "cpu"

    def __len__(self) -> int:
        return len(self._clips)

    def get(self, clip: int) -> Tensor | None:
        """Return all frames of a clip, [frames, H, W, 3]."""
        return self._clips.get(clip)

    def promise(self, clip: int, size: int) -> bool:
        """Keep room for a clip that is about to be decoded, if there is any."""
        largest = min(self.budget * _LARGEST_SHARE, BLOCK) if self.on_gpu else self.budget * _LARGEST_SHARE
        if not 0 < size <= largest or self.bytes + size > self.budget:
            return False
        self._promised[clip] = size
        self.bytes += size
        return True

    def keep(self, clip: int, frames: Tensor) -> None:
        """Keep a clip that was promised room; one that needs more than that is let go."""
        self.bytes -= (promised := self._promised.pop(clip))
        if frames.nbytes > promised:
            return
        if (room := self._room(frames.nbytes)) is None:
            self.budget = self.bytes  # what is left of the blocks is too small: promise no more until clips are evicted
            return
        # A copy: decoders hand out parts of a batch, and a part would keep the whole in memory.
        self._clips[clip] = room.view(frames.shape).copy_(frames)
        self.bytes += frames.nbytes

    def _room(self, size: int) -> Tensor | None:
        if not self.on_gpu:
            return torch.empty(size, dtype=torch.uint8)
        if self._arena is None:
            self._arena = Arena(torch.device(self.device), self.budget, min(BLOCK, self.budget))
        return self._arena.take(size)

    def break_promises(self) -> None:
        """Give back the room of clips that were never decoded."""
        self.bytes -= sum(self._promised.values())
        self._promised.clear()

    def clear(self) -> None:
        """Let go of everything."""
        self._clips.clear()
        self._promised.clear()
        self._arena = None
        self.bytes = 0

    def evict(self, clip: int) -> None:
        """Let go of a clip."""
        if (frames := self._clips.pop(clip, None)) is not None:
            self.bytes -= frames.nbytes
            if self._arena is not None:
                self._arena.give_back(frames)
