"""Look at one clip: how many frames, how large, which codec, or what is wrong with it.

Frames are counted, not believed: headers lie. A fault is an answer here, not an exception.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import av.error
from PIL import Image, UnidentifiedImageError

from sciu.pipeline.dataset.containers import actual_size, declared_size
from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.media import PACKED_SUFFIX, frame_files
from sciu.pipeline.dataset.packed import frames_of

Depth = Literal["count", "probe", "decode"]
"""count: frames counted, the first decoded. probe: also every frame file's head and tail. decode: every pixel."""

MISSING = "is missing"
MEDIA_ERRORS = (DatasetError, OSError, ValueError, EOFError, SyntaxError, Image.DecompressionBombError)
"""What FFmpeg's and Pillow's readers raise at damaged files; Pillow's PNG reader really raises SyntaxError."""

JPEG_HEAD, JPEG_TAIL = b"\xff\xd8", b"\xff\xd9"
PNG_HEAD, PNG_TAIL = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a look at a clip found; a clip with a fault must not be fed."""

    frames: int = 0
    width: int = 0
    height: int = 0
    codec: str | None = None
    fault: str | None = None


def probe(path: str, kind: str, depth: Depth) -> Probe:
    """Look at a clip of a kind, `video` or `frames`."""
    look: Callable[[Path, Depth], Probe] = _probe_video if kind == "video" else _probe_frames
    try:
        return look(Path(path), depth)
    except FileNotFoundError:
        return Probe(fault=MISSING)
    except MEDIA_ERRORS as error:
        return Probe(fault=reason(error))


def reason(error: Exception) -> str:
    """Say in one line what a decoder complained of, without the path: the table knows that."""
    if isinstance(error, UnidentifiedImageError):
        return "no image file, whatever its name says"
    if isinstance(error, av.error.InvalidDataError):
        return "no video file, or a damaged one"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


# ---- video files


def _probe_video(path: Path, depth: Depth) -> Probe:
    if path.is_dir():
        return Probe(fault="is a folder, not a video file")
    with path.open("rb") as file:
        size, declared = actual_size(file), declared_size(file)
    if size == 0:
        return Probe(fault="is an empty file")
    if declared > size:
        return Probe(fault=f"truncated: its header speaks of {declared} bytes, the file has {size}")
    found = _count(path)
    if found.fault is None and (depth == "decode" or found.codec == "vp8"):
        return _decode(path, found)
    return found


def _count(path: Path) -> Probe:
    """Count the packets and decode the first frame."""
    with av.open(path) as container:
        if not container.streams.video:
            return Probe(fault="has no video stream")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            return Probe(fault="unsupported codec: FFmpeg does not know it")
        codec = stream.codec_context.name
        frames, corrupt, first = 0, 0, None
        for packet in container.demux(stream):
            frames += packet.size > 0 and not packet.is_discard
            corrupt += packet.is_corrupt
            if first is None:
                first = next(iter(packet.decode()), None)
    if not frames or first is None:
        return Probe(fault="has zero frames")
    if corrupt:
        return Probe(fault=f"truncated or damaged: {corrupt} of {frames} packets are incomplete")
    return Probe(frames=frames, width=first.width, height=first.height, codec=_codec_name(codec))


def _decode(path: Path, found: Probe) -> Probe:
    """Decode every frame. VP8 comes here always: its invisible reference frames are packets too."""
    frames = 0
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"err_detect": "explode"}
        for frame in container.decode(stream):
            frames += 1
            if frame.is_corrupt:
                return Probe(fault=f"damaged: frame {frames} does not decode cleanly")
    return Probe(frames=frames, width=found.width, height=found.height, codec=found.codec)


def _codec_name(decoder: str) -> str:
    """Name the codec, not the library that decodes it."""
    return {"libdav1d": "av1", "libaom-av1": "av1", "libvpx": "vp8", "libvpx-vp9": "vp9"}.get(decoder, decoder)


# ---- folders of frames, single images, packed frames


def _probe_frames(path: Path, depth: Depth) -> Probe:
    if path.suffix.lower() == PACKED_SUFFIX and path.is_file():
        return _probe_packed(path, depth)
    files = frame_files(path)
    if not files:
        return Probe(fault="has zero frames: no JPEG or PNG file in the folder")
    for file in files if depth != "count" else files[:1]:
        if fault := _frame_fault(file.read_bytes()):
            return Probe(fault=f"frame {file.name} {fault}")
    for file in files[1:] if depth == "decode" else ():
        _load(file)
    first = _load(files[0])
    return Probe(frames=len(files), width=first.width, height=first.height, codec=str(first.format).lower())


def _probe_packed(path: Path, depth: Depth) -> Probe:
    jpegs = frames_of(path.read_bytes())
    if not jpegs:
        return Probe(fault="has zero frames")
    for number, jpeg in enumerate(jpegs, start=1):
        if fault := _frame_fault(jpeg):
            return Probe(fault=f"frame {number} {fault}")
    for jpeg in jpegs[1:] if depth == "decode" else ():
        _load(io.BytesIO(jpeg))
    first = _load(io.BytesIO(jpegs[0]))
    return Probe(frames=len(jpegs), width=first.width, height=first.height, codec="jpeg")


def _frame_fault(content: bytes) -> str | None:
    """Tell from its first and last bytes what is wrong with an image file; cameras pad the end, hence the window."""
    if not content:
        return "is an empty file"
    for head, tail in ((JPEG_HEAD, JPEG_TAIL), (PNG_HEAD, PNG_TAIL)):
        if content.startswith(head):
            return None if tail in content[-4096:] else "is truncated: its end marker is missing"
    return "is no JPEG or PNG image, whatever its name says"


def _load(source: object) -> Image.Image:
    with Image.open(source) as image:  # type: ignore[arg-type]
        image.load()
        return image
