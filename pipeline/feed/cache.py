"""Decoded clips kept whole, as uint8, within a budget of bytes: any epoch's frames of them are then a copy away."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from sciu.pipeline.dataset.errors import require

_LARGEST_SHARE = 1 / 64  # of the budget for one clip: a batch of long videos would fill memory while it decodes


@dataclass
class Cache:
    """First come, first kept; what is evicted makes room."""

    budget: int  # bytes
    device: str = "cpu"
    bytes: int = 0
    _clips: dict[int, Tensor] = field(default_factory=dict)
    _promised: dict[int, int] = field(default_factory=dict)  # bytes of clips that are being decoded

    def __post_init__(self) -> None:
        require(self.budget >= 0, "cache bytes", "at least 0", self.budget)

    def __len__(self) -> int:
        return len(self._clips)

    def get(self, clip: int) -> Tensor | None:
        """Return all frames of a clip, [frames, H, W, 3]."""
        return self._clips.get(clip)

    def promise(self, clip: int, size: int) -> bool:
        """Keep room for a clip that is about to be decoded, if there is any."""
        if not 0 < size <= self.budget * _LARGEST_SHARE or self.bytes + size > self.budget:
            return False
        self._promised[clip] = size
        self.bytes += size
        return True

    def keep(self, clip: int, frames: Tensor) -> None:
        """Keep a clip that was promised room; one that needs more than that is let go."""
        self.bytes -= (promised := self._promised.pop(clip))
        if frames.nbytes <= promised:
            # A copy: decoders hand out parts of a batch, and a part would keep the whole in memory.
            self._clips[clip] = torch.empty(frames.shape, dtype=torch.uint8, device=self.device).copy_(frames)
            self.bytes += frames.nbytes

    def break_promises(self) -> None:
        """Give back the room of clips that were never decoded."""
        self.bytes -= sum(self._promised.values())
        self._promised.clear()

    def clear(self) -> None:
        """Let go of everything."""
        self._clips.clear()
        self._promised.clear()
        self.bytes = 0

    def evict(self, clip: int) -> None:
        """Let go of a clip."""
        if (frames := self._clips.pop(clip, None)) is not None:
            self.bytes -= frames.nbytes
