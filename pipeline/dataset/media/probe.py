"""Probe a clip: number of frames, size, codec, or a fault.

Frames are counted, because headers can be wrong. A fault is returned, not raised.
"""

from __future__ import annotations

import errno
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import av.error
from PIL import Image, UnidentifiedImageError

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.media.containers import actual_size, declared_size, open_video
from sciu.pipeline.dataset.media.images import JPEG, PNG, TAIL, ends_whole
from sciu.pipeline.dataset.media.jpegs import JpegDecoder
from sciu.pipeline.dataset.media.kinds import frame_files, is_packed, require_file
from sciu.pipeline.dataset.media.packed import frames_of
from sciu.pipeline.dataset.media.read import load_image, upright, video_stream
from sciu.pipeline.errors import first_line

Depth = Literal["count", "probe", "decode"]
"""count: count frames, decode the first. probe: also read every frame file's head and tail. decode: decode all."""

MISSING = "is missing"
MEDIA_ERRORS = (
    DatasetError, av.error.FFmpegError, OSError, ValueError, EOFError, SyntaxError, Image.DecompressionBombError,
)  # fmt: skip
"""Errors that FFmpeg and Pillow raise for damaged files; Pillow's PNG reader does raise SyntaxError."""
_OUTAGES = {
    errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT,
    errno.ENOTCONN, errno.EHOSTDOWN, errno.ENETDOWN,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The result of probing a clip; a clip with a fault must not be fed."""

    frames: int = 0
    width: int = 0
    height: int = 0
    codec: str | None = None
    fault: str | None = None
    stored: int = 0  # frames in the file: more than `frames` if some are never shown


def probe(path: str, kind: str, depth: Depth) -> Probe:
    """Probe a clip of a kind, `video` or `frames`. Errors of the system (no permission, no disk) are raised."""
    inspect: Callable[[Path, Depth], Probe] = _probe_video if kind == "video" else _probe_frames
    try:
        return inspect(Path(path), depth)
    except FileNotFoundError:
        return Probe(fault=MISSING)
    except MEDIA_ERRORS as error:
        if is_outage(error):
            raise
        return Probe(fault=reason(error))


def reason(error: Exception) -> str:
    """Return a decoder's error in one line, without the path, which the table has."""
    if isinstance(error, UnidentifiedImageError):
        return "is not an image file, despite its name"
    if isinstance(error, av.error.InvalidDataError):
        return "is not a video file, or is damaged"
    if isinstance(error, av.error.EOFError):
        return "ends before a frame that can be decoded"
    text = error.strerror if isinstance(error, OSError | av.error.FFmpegError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


def is_outage(error: Exception) -> bool:
    """Return whether an error is the system's (no permission, a disk is missing), not the file's.

    FFmpeg reports "not permitted" for damaged streams, so its errors are the file's.
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
        return Probe(fault=f"truncated: its header declares {declared} bytes, but the file has {size}")
    return _count(path, depth)


def _count(path: Path, depth: Depth) -> Probe:
    """Count the packets and decode the first frame, or all where packets are not frames."""
    with open_video(path) as container:
        stream = video_stream(container)
        if stream is None:
            return Probe(fault="has no video stream")
        if stream.codec_context is None:
            return Probe(fault="unsupported codec: FFmpeg does not know it")
        codec = stream.codec_context.name
        stream.thread_type = "NONE"  # clips, not slices, are spread over the cores
        seen = _Seen()
        for packet in container.demux(stream):
            seen.add(packet)
        promised = (container.duration or 0) / 1e6 if "matroska" in container.format.name else 0.0
        last = float(seen.last * (stream.time_base or 0))
        if fault := seen.fault(last, promised if len(container.streams) == 1 else 0.0):
            return Probe(fault=fault)
        height, width = upright(seen.first).shape[:2]
        fields = codec == "h264" and container.format.name == "mpegts" and seen.first.interlaced_frame
    found = Probe(frames=seen.frames, width=width, height=height, codec=_codec_name(codec), stored=seen.frames)
    if depth == "decode" or found.codec == "vp8" or fields or seen.refers_back():
        return _decode(path, found, strict=not (seen.discarded or seen.refers_back()))
    return found


@dataclass
class _Seen:
    """The packets of a video so far."""

    frames: int = 0
    unled: int = 0  # frames before the first that is marked as a keyframe
    corrupt: int = 0
    discarded: int = 0  # decoded and not shown, as an edit list says
    first: Any = None  # the first frame that the decoder returns
    earliest: int | None = None  # time of display
    keyframe: int | None = None  # time of display of the first
    last: int = 0  # time of display, of any packet

    def add(self, packet: Any) -> None:
        """Count a packet, and decode it if no frame is decoded yet."""
        if packet.size > 0 and not packet.is_discard:
            self.unled += self.unled == self.frames and not packet.is_keyframe
            self.frames += 1
            if packet.pts is not None:
                self.earliest = packet.pts if self.earliest is None else min(self.earliest, packet.pts)
        if packet.is_keyframe and self.keyframe is None:
            self.keyframe = packet.pts
        self.corrupt += packet.is_corrupt
        self.discarded += packet.is_discard
        if packet.size:
            self.last = max(self.last, packet.pts or 0)
        if self.first is None:
            try:
                self.first = next(iter(packet.decode()), None)
            except av.error.InvalidDataError:
                if not self.unled:  # else the decoder lacks the frames that it refers to
                    raise

    def fault(self, last: float, promised: float) -> str | None:
        """Return what is wrong with the packets, which end at `last` of so many promised seconds."""
        if self.unled and not self._begins_well():
            return (
                f"was cut at a frame that is no keyframe: its first {self.unled} of {self.frames} frames do not decode."
                " Cut the original again and encode it anew, as ffmpeg does without `-c copy`"
            )
        if not self.frames or self.first is None:
            return "has zero frames"
        if self.corrupt:
            return f"truncated or damaged: {self.corrupt} of {self.frames} packets are incomplete"
        if last < promised / 2 and self.frames > 1:
            return f"damaged: its frames end at {last:.1f} s of {promised:.1f} s"
        return None

    def refers_back(self) -> bool:
        """Return whether the first frames refer to others before the file's beginning, so that they are not shown."""
        return self.earliest is not None and self.keyframe is not None and self.earliest < self.keyframe

    def _begins_well(self) -> bool:
        """Return whether the first frame decodes alone, so that the file's marks of keyframes are wrong."""
        return self.first is not None and self.first.key_frame and self.first.pts == self.earliest


def _decode(path: Path, found: Probe, *, strict: bool) -> Probe:
    """Decode every frame, strictly if its references are all there.

    VP8 always needs this, because its invisible reference frames are packets too; so does H.264 with a packet a field.
    """
    frames = 0
    with open_video(path) as container:
        stream = video_stream(container)
        stream.thread_type = "NONE"
        if strict:
            stream.codec_context.options = {"err_detect": "explode"}
        for frame in container.decode(stream):
            frames += 1
            if frame.is_corrupt:
                return Probe(fault=f"damaged: frame {frames} does not decode cleanly")
    return replace(found, frames=frames)


def _codec_name(decoder: str) -> str:
    """Return the name of the codec instead of the library that decodes it."""
    return {"libdav1d": "av1", "libaom-av1": "av1", "libvpx": "vp8", "libvpx-vp9": "vp9"}.get(decoder, decoder)


# ---- folders of frames, single images, packed frames


def _probe_frames(path: Path, depth: Depth) -> Probe:
    path.stat()  # raises an error if the clip is missing; a missing frame is a fault instead
    first, codec, count, jpegs = None, "", 0, JpegDecoder(b"")
    for name, content in _packed(path, depth) if is_packed(path.name) else _files(path, depth):
        count += 1
        if content is None or (depth == "decode" and jpegs.decodes(content)):
            continue
        try:
            image = _check_image(content, decode=depth == "decode" or first is None)
        except DatasetError as error:
            return Probe(fault=f"frame {name} {error}")
        if first is None:
            first, codec, jpegs = image, "png" if content.startswith(PNG) else "jpeg", JpegDecoder(content)
    if first is None:
        return Probe(fault="has zero frames: it contains no JPEG or PNG file")
    return Probe(frames=count, width=first.width, height=first.height, codec=codec, stored=count)


def _files(path: Path, depth: Depth) -> Iterator[tuple[str, bytes | None]]:
    """Yield the frames' names and contents; counting needs only the first content."""
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
    """Return the head and tail of a file, or all of it if they do not show a complete image."""
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
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                damaged = archive.testzip()
        except (zipfile.BadZipFile, RuntimeError) as error:  # of an entry that says it is encrypted, too
            raise DatasetError(f"packed clip has a damaged directory: {first_line(error)}") from error
        if damaged:
            raise DatasetError(f"frame {damaged} is damaged: its checksum does not match")


def _check_image(content: bytes, *, decode: bool) -> Image.Image | None:
    """Raise an error if an image file is incomplete; return it decoded if `decode` is set."""
    if not content:
        raise DatasetError("is an empty file")
    if not content.startswith((JPEG, PNG)):
        raise DatasetError("is not a JPEG or PNG image, despite its name")
    whole = ends_whole(content)
    if whole and not decode:
        return None
    try:
        return load_image(content)
    except MEDIA_ERRORS as error:
        fault = f"does not decode: {reason(error)}" if whole else "is truncated: its end marker is missing"
        raise DatasetError(fault) from error
