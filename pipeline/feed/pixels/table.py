"""The kernel's data of a batch in one block of bytes, so that each batch needs one upload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciu.pipeline.feed.memory.buffers import to_device
from sciu.pipeline.feed.pixels.render import Source, box_in
from sciu.pipeline.feed.plan.plan import Samples

BOX_FIELDS = 7  # pitch in bytes, top, left, height, width, rows and columns that a pixel is computed from
LOOK_FIELDS = 5  # flipped, cosine, sine, brightness, contrast


@dataclass(frozen=True, eq=False)
class Table:
    """One row per frame and one row per clip, on the device."""

    addresses: Tensor  # int64 [B * T]
    ids: Tensor  # int64 [B]
    boxes: Tensor  # int32 [B * T, BOX_FIELDS]
    looks: Tensor  # float32 [B, LOOK_FIELDS]
    frames: int  # T
    turned: bool  # whether any clip is


def make_table(
    sources: Sequence[Source], picks: Sequence[NDArray[np.int64]], samples: Samples, size: int, device: torch.device
) -> Table:
    """Return the address, box and augmentation of each frame."""
    frames = samples.numbers.shape[1]
    addresses = np.empty((len(sources), frames), np.int64)
    boxes = np.empty((len(sources), frames, BOX_FIELDS), np.int32)
    for row, (source, picked) in enumerate(zip(sources, picks, strict=True)):
        addresses[row], boxes[row, :, :5] = _of_clip(source, picked, samples, row)
    boxes[..., 5:] = _taps(boxes[..., 3:5], size)
    radians = np.radians(samples.angles)
    looks = np.stack([samples.flips, np.cos(radians), np.sin(radians), samples.brightness, samples.contrast], axis=1)
    columns = addresses.ravel(), samples.ids.astype(np.int64), boxes.ravel(), looks.astype(np.float32).ravel()
    sent = _sent(columns, device)
    return Table(
        addresses=sent[0].view(torch.int64), ids=sent[1].view(torch.int64),
        boxes=sent[2].view(torch.int32).view(-1, BOX_FIELDS), looks=sent[3].view(torch.float32).view(-1, LOOK_FIELDS),
        frames=frames, turned=bool(samples.angles.any()),
    )  # fmt: skip


def _sent(columns: Sequence[NDArray[Any]], device: torch.device) -> list[Tensor]:
    """Copy the arrays to the device in one block, and return the bytes of each."""
    begins = np.cumsum([0, *(_aligned(column.nbytes) for column in columns)]).tolist()
    together = np.zeros(begins[-1], np.uint8)
    for begin, column in zip(begins, columns, strict=False):
        together[begin : begin + column.nbytes] = column.view(np.uint8)
    block = to_device(torch.from_numpy(together), device)
    return [block[begin : begin + column.nbytes] for begin, column in zip(begins, columns, strict=False)]


def _aligned(size: int) -> int:
    """Round up to 16 bytes: Triton compiles again for arrays with another alignment."""
    return -(-size // 16) * 16


def _of_clip(
    source: Source, picks: NDArray[np.int64], samples: Samples, row: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return a clip's addresses, [T], and boxes, [5] or [T, 5]."""
    if isinstance(source, Tensor):
        assert source.is_contiguous()
        height, width = source.shape[1:3]
        box = np.array([3 * width, *box_in((height, width), samples, row)], np.int32)
        return source.data_ptr() + picks * (height * width * 3), box
    assert all(frame.is_contiguous() for frame in source)
    picked = [source[place] for place in picks.tolist()]
    found = [(3 * frame.shape[1], *box_in((frame.shape[0], frame.shape[1]), samples, row)) for frame in picked]
    return np.array([frame.data_ptr() for frame in picked], np.int64), np.array(found, np.int32)


def _taps(sides: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    """Return the maximum number of rows or columns that a pixel is computed from, for boxes of these sides."""
    return (2 * np.maximum(sides / size, 1)).astype(np.int32) + 1
