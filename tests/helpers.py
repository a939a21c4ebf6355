"""Small real clips and datasets, what a command said, and tasks for worker processes, which can import this file."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.build import build
from sciu.pipeline.dataset.encode import encode_clip, encode_jpeg
from sciu.pipeline.dataset.importers import Listing


def moving_picture(frames: int = 12, width: int = 48, height: int = 48) -> list[NDArray[np.uint8]]:
    """A clip in which every frame differs from every other: its brightness says its number."""
    y, x = np.mgrid[:height, :width]
    texture = np.stack([x * 2, y * 2, (x + y)], axis=-1)
    return [np.clip(texture % 60 + 6 * number, 0, 255).astype(np.uint8) for number in range(frames)]


def write_frames(folder: Path, frames: list[NDArray[np.uint8]], name: str = "{}.jpg") -> None:
    """Write a clip as a folder of JPEG frames, numbered from 1."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, start=1):
        (folder / name.format(number)).write_bytes(encode_jpeg(frame))


def write_clip(path: Path, codec: str = "mjpeg", frames: int = 12) -> None:
    """Write a clip file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_clip(moving_picture(frames), codec))


def silent(_done: int, _total: int) -> None:
    """Progress for nobody."""


def double(task: int) -> int:
    """A task that ends well."""
    return 2 * task


def die_at_13(task: int) -> int:
    """A task that crashes like a native decoder."""
    if task % 50 == 13:
        os.kill(os.getpid(), signal.SIGSEGV)
    return task


def refuse(_task: int) -> int:
    """A task that meets a full disk."""
    raise OSError(28, "No space left on device")


def make_dataset(listing: Listing, out: Path) -> Dataset:
    """Import what a source lists."""
    return build(listing, out, name=None, made_by="a test", progress=silent).dataset


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The standard output as JSON."""
        return json.loads(self.out)

    def error(self) -> str:
        """The one line that a user's mistake gets."""
        last = self.err.strip().splitlines()[-1]
        assert last.startswith("Error: "), self.err
        assert "Traceback" not in self.err
        return last
