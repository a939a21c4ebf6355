"""The batch that a feed passes to the step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class ClipBatch:
    """A batch of clips on the device; pixels stay uint8 until the step."""

    ids: Tensor  # int64 [B]
    frames_BTHWC: Tensor  # uint8

    def __post_init__(self) -> None:
        assert self.frames_BTHWC.ndim == 5
        assert self.frames_BTHWC.shape[-1] == 3
        assert len(self.ids) == len(self.frames_BTHWC)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"ClipBatch({len(self)} clips, {tuple(self.frames_BTHWC.shape)} on {self.frames_BTHWC.device})"
