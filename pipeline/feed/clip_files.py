"""The files of a clip, read on the host, no more of them than the frames that are wanted.

What was learnt at first sight is kept for the run: the names in a folder, where each JPEG lies in a file.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.media import frame_files, is_packed
from sciu.pipeline.dataset.packed import frame_spans
from sciu.pipeline.dataset.probe import MEDIA_ERRORS
from sciu.pipeline.dataset.read import Frames, read_frames, video_stream
from sciu.pipeline.feed.packets import CODECS, Packets, look_at_packets
from sciu.pipeline.feed.routes import Refusal

Bytes = NDArray[np.uint8]

_FRAME = 1 << 16  # holds most files of one frame: read at once, without asking for the size


@dataclass(frozen=True)
class Images:
    """An image file a frame."""

    files: list[Bytes]


@dataclass(frozen=True)
class Video:
    """A whole video file, and which of its frames are wanted."""

    file: Bytes
    numbers: NDArray[np.int32]


@dataclass(frozen=True)
class OnHost:
    """A clip that FFmpeg or Pillow decode on the host, and which of its frames are wanted."""

    clip: int
    numbers: NDArray[np.int32]


@dataclass(frozen=True)
class _Names:
    """The frames of a folder, in order."""

    names: str  # joined: a list of strings takes ten times the memory

    def read(self, path: str, numbers: NDArray[np.int32]) -> Images:
        names = self.names.split("/")
        _require_length(len(names), numbers)
        return Images([_read_file(f"{path}/{names[number]}") for number in numbers])


@dataclass(frozen=True)
class _Spans:
    """Where the JPEG files lie in one file."""

    spans: NDArray[np.int64]  # begin, end

    def read(self, path: str, numbers: NDArray[np.int32]) -> Images:
        _require_length(len(self.spans), numbers)
        spans = self.spans[numbers]
        first, last = int(spans.min()), int(spans.max())
        content = _read_file(path, first, last - first)
        if len(content) < last - first:
            raise DatasetError("is shorter than it was: truncated or replaced")
        return Images([content[begin:end] for begin, end in (spans - first).tolist()])


class _Whole:
    """A video that DALI takes as it is."""

    def read(self, path: str, numbers: NDArray[np.int32]) -> Video:
        return Video(_read_file(path), numbers)


class ClipFiles:
    """Reads what a decoder needs; several threads may."""

    def __init__(self, dataset: Dataset, refusal: Refusal) -> None:
        self.dataset = dataset
        self._refusal = refusal
        self._sights: dict[int, _Names | _Spans | _Whole] = {}
        self._packets: dict[int, Packets] = {}
        self.on_host: dict[int, str] = {}  # clips that DALI does not decode, and why

    def read(self, clip: int, numbers: NDArray[np.int32]) -> tuple[Images | Video | OnHost, int]:
        """Return a clip's frames, encoded or for the host to decode, and how many files are opened for it."""
        path, opened = self.dataset.path(clip), 0
        if clip not in self._sights and clip not in self.on_host:
            self._look(clip, path)
            opened = 1
        sight = self._sights.get(clip)
        if sight is None:
            return OnHost(clip, numbers), opened + 1
        return sight.read(str(path), numbers), opened + (len(numbers) if isinstance(sight, _Names) else 1)

    def decode(self, wanted: OnHost) -> list[Frames]:
        """Decode a clip on the host."""
        path = self.dataset.path(wanted.clip)
        if packets := self._packets.get(wanted.clip):
            try:
                return packets.decode(_read_file(str(path)), wanted.numbers)
            except MEDIA_ERRORS:  # the file is another one now, or FFmpeg makes more of it with the container's help
                self._packets.pop(wanted.clip, None)
        return read_frames(path, self.dataset.kind_of(wanted.clip), wanted.numbers.tolist())

    def leave_to_host(self, clip: int, why: str) -> None:
        """From now on decode this clip on the host."""
        self._sights.pop(clip, None)
        self.on_host[clip] = why

    def _look(self, clip: int, path: Path) -> None:
        """See what a clip is, at its first use: half a millisecond, once a run."""
        if self.dataset.kind_of(clip) == "frames":
            self._sights[clip] = _look_at_frames(path)
            return
        table = self.dataset.clips
        codec = table.codec[clip] or ""
        why = self._refusal(codec, int(table.width[clip]), int(table.height[clip]))
        sight = _look_at_video(path, codec) if why is None else why
        if not isinstance(sight, str):
            self._sights[clip] = sight
            return
        if codec in CODECS and (packets := look_at_packets(_read_file(str(path)))):
            self._packets[clip] = packets
        self.on_host[clip] = sight


def _look_at_frames(path: Path) -> _Names | _Spans:
    if is_packed(path.name):
        return _Spans(frame_spans(_read_file(str(path))))
    files = frame_files(path)
    if files == [path]:  # a single image
        return _Spans(np.array([[0, path.stat().st_size]]))
    return _Names("/".join(file.name for file in files))


def _look_at_video(path: Path, codec: str) -> _Spans | _Whole | str:
    """Find what DALI must know of a video, or why it is not for DALI."""
    content = _read_file(str(path))
    with av.open(io.BytesIO(content.data)) as container:
        stream = video_stream(container)
        if codec == "mjpeg":
            spans = _jpeg_spans(content, container.demux(stream))
            return "its JPEG frames do not lie in one piece" if spans is None else _Spans(spans)
        frame = next(container.decode(stream), None)
        if frame is None:
            raise DatasetError("has zero frames")
        if frame.rotation:
            return f"it is to be turned by {frame.rotation} degrees"
        return _Whole() if frame.format.components[0].bits == 8 else f"its pixels are {frame.format.name}"


def _jpeg_spans(content: Bytes, packets: Any) -> NDArray[np.int64] | None:
    """Return where the JPEG files of a video lie: then just the wanted ones are decoded, not all up to the last one."""
    found = [(packet.pos, packet.pos + packet.size) for packet in packets if packet.size and not packet.is_discard]
    starts = np.array([begin for begin, _ in found], np.int64)
    if not found or starts.min() < 0 or found[-1][1] > len(content):
        return None
    marked = (content[starts] == 0xFF) & (content[starts + 1] == 0xD8)
    return np.array(found, np.int64) if marked.all() else None


def _require_length(frames: int, numbers: NDArray[np.int32]) -> None:
    if len(numbers) and numbers[-1] >= frames:
        raise DatasetError(f"has no frame {numbers[-1]}: it is shorter than the table says")


def _read_file(path: str, offset: int = 0, size: int | None = None) -> Bytes:
    """Read a file, or a part of it; a third of what `open` takes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe does not make us wait
    try:
        content = os.pread(descriptor, _FRAME if size is None else size, offset)
        if size is None and len(content) == _FRAME:
            content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        return np.frombuffer(content, np.uint8)
    finally:
        os.close(descriptor)
