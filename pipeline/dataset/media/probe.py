"""Look at one clip: how many frames, how large, which codec, or what is wrong with it.

Frames are counted, not believed: headers lie. A fault is an answer here, not an exception.
"""

from __future__ import annotations

import errno
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import av
import av.error
from PIL import Image, UnidentifiedImageError

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.media.containers import actual_size, declared_size
from sciu.pipeline.dataset.media.images import JPEG, PNG, TAIL, ends_whole
from sciu.pipeline.dataset.media.kinds import frame_files, is_packed, require_file
from sciu.pipeline.dataset.media.packed import frames_of
from sciu.pipeline.dataset.media.read import load_image, upright, video_stream

Depth = Literal["count", "probe", "decode"]
"""count: frames counted, the first decoded. probe: also every frame file's head and tail. decode: every pixel."""

MISSING = "is missing"
MEDIA_ERRORS = (
    DatasetError, av.error.FFmpegError, OSError, ValueError, EOFError, SyntaxError, Image.DecompressionBombError,
)  # fmt: skip
"""What FFmpeg's and Pillow's readers raise at damaged files; Pillow's PNG reader really raises SyntaxError."""
_OUTAGES = {
    errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT,
    errno.ENOTCONN, errno.EHOSTDOWN, errno.ENETDOWN,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a look at a clip found; a clip with a fault must not be fed."""

    frames: int = 0
    width: int = 0
    height: int = 0
    codec: str | None = None
    fault: str | None = None
    stored: int = 0  # pictures in the file: more than `frames` where some of them are never shown


def probe(path: str, kind: str, depth: Depth) -> Probe:
    """Look at a clip of a kind, `video` or `frames`. What the machine does (no permission, no disk) is raised."""
    look: Callable[[Path, Depth], Probe] = _probe_video if kind == "video" else _probe_frames
    try:
        return look(Path(path), depth)
    except FileNotFoundError:
        return Probe(fault=MISSING)
    except MEDIA_ERRORS as error:
        if is_outage(error):
            raise
        return Probe(fault=reason(error))


def reason(error: Exception) -> str:
    """Say in one line what a decoder complained of, without the path: the table knows that."""
    if isinstance(error, UnidentifiedImageError):
        return "no image file, whatever its name says"
    if isinstance(error, av.error.InvalidDataError):
        return "no video file, or a damaged one"
    text = error.strerror if isinstance(error, OSError | av.error.FFmpegError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


def is_outage(error: Exception) -> bool:
    """Tell what the machine did (no permission, a disk that is gone) from what is wrong with a file.

    FFmpeg says "not permitted" of damaged streams: its errors are the file's.
    """
    return isinstance(error, OSError) and not isinstance(error, av.error.FFmpegError) and error.errno in _OUTAGES


# ---- video files


def _probe_video(path: Path, depth: Depth) -> Probe:
    if path.is_dir():
        return Probe(fault="is a folder, not a video file")
    with require_file(path).open("rb") as file:
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
        stream = video_stream(container)
        if stream is None:
            return Probe(fault="has no video stream")
        if stream.codec_context is None:
            return Probe(fault="unsupported codec: FFmpeg does not know it")
        codec = stream.codec_context.name
        frames, corrupt, first, last = 0, 0, None, 0.0
        for packet in container.demux(stream):
            frames += packet.size > 0 and not packet.is_discard
            corrupt += packet.is_corrupt
            last = max(last, float((packet.pts or 0) * (packet.time_base or 0))) if packet.size else last
            if first is None:
                first = next(iter(packet.decode()), None)
        if not frames or first is None:
            return Probe(fault="has zero frames")
        if corrupt:
            return Probe(fault=f"truncated or damaged: {corrupt} of {frames} packets are incomplete")
        promised = (container.duration or 0) / 1e6 if "matroska" in container.format.name else 0.0
        if last < promised / 2 and len(container.streams) == 1 and frames > 1:
            return Probe(fault=f"damaged: its pictures end at {last:.1f} s of {promised:.1f} s")
        height, width = upright(first).shape[:2]
    return Probe(frames=frames, width=width, height=height, codec=_codec_name(codec), stored=frames)


def _decode(path: Path, found: Probe) -> Probe:
    """Decode every frame. VP8 comes here always: its invisible reference frames are packets too."""
    frames = 0
    with av.open(path) as container:
        stream = video_stream(container)
        stream.codec_context.options = {"err_detect": "explode"}
        for frame in container.decode(stream):
            frames += 1
            if frame.is_corrupt:
                return Probe(fault=f"damaged: frame {frames} does not decode cleanly")
    return replace(found, frames=frames)


def _codec_name(decoder: str) -> str:
    """Name the codec, not the library that decodes it."""
    return {"libdav1d": "av1", "libaom-av1": "av1", "libvpx": "vp8", "libvpx-vp9": "vp9"}.get(decoder, decoder)


# ---- folders of frames, single images, packed frames


def _probe_frames(path: Path, depth: Depth) -> Probe:
    path.stat()  # a clip that is not there is missing; a frame that is not there is a fault
    first, codec, count = None, "", 0
    for name, content in _packed(path, depth) if is_packed(path.name) else _files(path, depth):
        count += 1
        if content is None:
            continue
        try:
            image = _look_at(content, decode=depth == "decode" or first is None)
        except DatasetError as error:
            return Probe(fault=f"frame {name} {error}")
        if first is None:
            first, codec = image, "png" if content.startswith(PNG) else "jpeg"
    if first is None:
        return Probe(fault="has zero frames: no JPEG or PNG file in it")
    return Probe(frames=count, width=first.width, height=first.height, codec=codec, stored=count)


def _files(path: Path, depth: Depth) -> Iterator[tuple[str, bytes | None]]:
    """Yield the frames' names and contents; to count, one content is enough."""
    for place, file in enumerate(frame_files(path)):
        try:
            require_file(file)
            if place == 0 or depth == "decode":
                yield file.name, file.read_bytes()
            else:
                yield file.name, _ends(file) if depth == "probe" else None
        except OSError as error:
            if is_outage(error):
                raise
            raise DatasetError(f"frame {file.name} cannot be read: {reason(error)}") from error


def _ends(file: Path) -> bytes:
    """Read the head and the tail of a file, or all of it where they do not show a whole image."""
    with file.open("rb") as opened:
        size = opened.seek(0, io.SEEK_END)
        opened.seek(0)
        head = opened.read(8)
        opened.seek(max(8, size - TAIL))
        ends = head + opened.read()
    return ends if ends_whole(ends) else file.read_bytes()


def _packed(path: Path, depth: Depth) -> Iterator[tuple[str, bytes]]:
    content = require_file(path).read_bytes()
    yield from ((str(number), jpeg) for number, jpeg in enumerate(frames_of(content), start=1))
    if depth == "decode":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if damaged := archive.testzip():
                raise DatasetError(f"frame {damaged} is damaged: its checksum does not match")


def _look_at(content: bytes, *, decode: bool) -> Image.Image | None:
    """Tell from its ends whether an image file is whole; decode it where they do not say."""
    if not content:
        raise DatasetError("is an empty file")
    if not content.startswith((JPEG, PNG)):
        raise DatasetError("is no JPEG or PNG image, whatever its name says")
    whole = ends_whole(content)
    if whole and not decode:
        return None
    try:
        return load_image(content)
    except MEDIA_ERRORS as error:
        fault = f"does not decode: {reason(error)}" if whole else "is truncated: its end marker is missing"
        raise DatasetError(fault) from error
