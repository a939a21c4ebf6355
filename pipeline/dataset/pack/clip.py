"""Rewrite one clip into one size and codec."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.media.encode import CODECS, JPEG_CODECS, KIND, encode_clip, join_jpegs
from sciu.pipeline.dataset.media.probe import MEDIA_ERRORS, MISSING, Probe, is_outage, probe, reason
from sciu.pipeline.dataset.media.read import decode_image, read_images, read_video
from sciu.pipeline.dataset.system.files import write_atomically
from sciu.pipeline.errors import require

FITS = ("pad", "crop", "stretch")
_ORIENTATION = 0x112  # the EXIF tag

How = Literal["copied", "encoded", "kept", "failed"]
"""JPEG files copied unchanged; frames encoded; kept from an earlier run or a part; unreadable."""


@dataclass(frozen=True, kw_only=True)
class Packing:
    """The settings of `pack`."""

    size: int = 128
    max_frames: int = 48
    codec: str = "mjpeg"
    fit: str = "pad"

    def __post_init__(self) -> None:
        require(16 <= self.size <= 4096 and self.size % 2 == 0, "--size", "an even number from 16 to 4096", self.size)
        require(1 <= self.max_frames <= 65535, "--max-frames", "1 to 65535", self.max_frames)  # a plain zip's limit
        require(self.codec in CODECS, "--codec", f"one of {list(CODECS)}", self.codec)
        require(self.fit in FITS, "--fit", f"one of {list(FITS)}", self.fit)

    def packed(self, frames: int) -> Probe:
        """Return what a packed clip of so many frames is."""
        return Probe(frames=frames, width=self.size, height=self.size, codec=self.codec)


@dataclass(frozen=True)
class Task:
    """A clip to pack."""

    source: Path
    kind: str
    frames: int
    target: Path
    packing: Packing


def pack_clip(task: Task) -> tuple[Probe, How]:
    """Write one clip. Return a fault if the clip is unreadable; raise an error if a disk is missing or full."""
    packing = task.packing
    if _is_newer(task.target, task.source):
        found = probe(str(task.target), KIND[packing.codec], "count")
        if found.fault is None:
            return found, "kept"
    numbers = evenly(task.frames, packing.max_frames)
    try:
        how = _write_clip(task, numbers)
    except FileNotFoundError:
        return Probe(fault=MISSING), "failed"
    except MEDIA_ERRORS as error:
        if is_outage(error) or isinstance(error, _WriteError):
            raise
        return Probe(fault=reason(error)), "failed"
    return packing.packed(len(numbers)), how


def _is_newer(target: Path, source: Path) -> bool:
    """Return whether a packed clip was written after the last change to any file of its source."""
    if not target.exists() or not source.exists():
        return False
    files = [source, *source.iterdir()] if source.is_dir() else [source]
    states = [file.stat() for file in files]
    return target.stat().st_mtime_ns > max(max(state.st_mtime_ns, state.st_ctime_ns) for state in states)


def evenly(frames: int, at_most: int) -> list[int]:
    """Return evenly spaced frame numbers of a clip: all of them, or the centres of `at_most` equal parts."""
    if frames <= at_most:
        return list(range(frames))
    return [(2 * part + 1) * frames // (2 * at_most) for part in range(at_most)]


def _write_clip(task: Task, numbers: list[int]) -> How:
    packing = task.packing
    if not numbers:
        raise DatasetError("has zero frames")
    if task.kind == "video":
        frames = read_video(task.source, numbers, lambda frame: _resize(frame, packing))
    else:
        images = read_images(task.source, numbers)
        if packing.codec in JPEG_CODECS and _fit_as_they_are(images, packing.size):
            _write(task, join_jpegs(images, packing.codec, width=packing.size, height=packing.size))
            if probe(str(task.target), KIND[packing.codec], "decode").fault is None:
                return "copied"  # else encode them: FFmpeg is stricter than Pillow about JPEG files
        frames = [_resize(decode_image(image), packing) for image in images]
    _write(task, encode_clip(frames, packing.codec))
    return "encoded"


def _write(task: Task, content: bytes) -> None:
    try:
        write_atomically(task.target, content, durable=False)
    except OSError as error:
        raise _WriteError(error.errno, error.strerror, str(task.target)) from error


class _WriteError(OSError):
    """The output cannot be written; the clip is not at fault."""


def _fit_as_they_are(images: list[bytes], size: int) -> bool:
    """Return whether all are plain JPEG files of the given size, upright and of one chroma layout."""
    layouts = set()
    for content in images:
        with Image.open(io.BytesIO(content)) as image:
            plain = image.format == "JPEG" and image.mode == "RGB" and "progressive" not in image.info
            upright = image.getexif().get(_ORIENTATION, 1) == 1
            if not (plain and upright and image.size == (size, size)):
                return False
            layouts.add(str(getattr(image, "layer", None)))
    return len(layouts) == 1


def _resize(frame: NDArray[np.uint8], packing: Packing) -> NDArray[np.uint8]:
    size = (packing.size, packing.size)
    if frame.shape[:2] == size:
        return frame
    image = Image.fromarray(frame)
    if packing.fit == "stretch":
        return np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    fit = ImageOps.pad if packing.fit == "pad" else ImageOps.fit
    return np.asarray(fit(image, size, Image.Resampling.LANCZOS))
