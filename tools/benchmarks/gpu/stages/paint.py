"""Clips that cost as much to read and decode as real ones, painted and encoded in a few milliseconds each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sciu.pipeline.dataset.media.encode import encode_clip, encode_video

_PATCHES = 6  # of colour, along a side
_NOISE, _GRAIN = 4.0, 5  # of the texture, of each frame: a JPEG of 128 px has the 5 to 6 kB of a face's
_HEVC = ("libx265", "mp4", {"preset": "veryfast", "x265-params": "log-level=none:pools=1"})


@dataclass(frozen=True)
class Task:
    """A clip to write."""

    clip: int
    frames: int
    side: int
    codec: str
    path: Path


def write_clip(task: Task) -> int:
    """Write a clip; return its size in bytes."""
    frames = paint(task.clip, task.frames, task.side)
    content = encode_video(frames, *_HEVC) if task.codec == "hevc" else encode_clip(frames, task.codec)
    return task.path.write_bytes(content)


def paint(clip: int, frames: int, side: int) -> list[NDArray[np.uint8]]:
    """Paint a drifting texture, unique to the clip: no two clips look alike, and no two frames are the same."""
    rng = np.random.default_rng(clip)
    patches = rng.integers(0, 256, (_PATCHES, _PATCHES, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(patches).resize((2 * side, 2 * side), Image.Resampling.BICUBIC), np.float32)
    canvas = np.clip(smooth + rng.normal(0, _NOISE, (2 * side, 2 * side, 1)), _GRAIN, 255 - _GRAIN).astype(np.int16)
    places = np.linspace(rng.uniform(0, side, 2), rng.uniform(0, side, 2), frames).astype(int).tolist()
    grain = rng.integers(-_GRAIN, _GRAIN + 1, (frames, side, side, 1), dtype=np.int16)
    return [
        (canvas[top : top + side, left : left + side] + grain[number]).astype(np.uint8)
        for number, (top, left) in enumerate(places)
    ]
