"""Reads on the host what decoders need of the clips' files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.media.images import is_whole_image
from sciu.pipeline.dataset.media.probe import MEDIA_ERRORS
from sciu.pipeline.dataset.media.read import LONG, Frames, read_frames
from sciu.pipeline.feed.files.clip_layout import (
    ChangedError,
    ClipLayout,
    FrameFolder,
    Images,
    Video,
    layout_of_frames,
    layout_of_video,
    read_file,
    stamp,
)  # fmt: skip
from sciu.pipeline.feed.files.packets import CODECS, Packets, look_at_packets
from sciu.pipeline.feed.files.routes import Refusal

_MOST_INSPECTIONS = 2  # in one read
_LARGE = 256 << 20  # bytes of a file that is not held in memory


@dataclass(frozen=True)
class OnHost:
    """A clip that FFmpeg or Pillow decodes on the host, and the frames to decode."""

    clip: int
    numbers: NDArray[np.int32]


class ClipFiles:
    """Reads clips; thread-safe."""

    def __init__(self, dataset: Dataset, refusal: Refusal, *, for_nvdec: bool = False) -> None:
        self.dataset = dataset
        self._refusal = refusal
        self._for_nvdec = for_nvdec
        self._stamps: dict[int, tuple[int, ...]] = {}  # of the inspected file
        self._layouts: dict[int, ClipLayout] = {}
        self._packets: dict[int, Packets] = {}
        self.on_host: dict[int, str] = {}  # clips that DALI does not decode, and why

    def read(self, clip: int, numbers: NDArray[np.int32]) -> tuple[Images | Video | OnHost, int]:
        """Return a clip's encoded frames, or OnHost if the host decodes it, and the number of opened files."""
        path, inspections = self.dataset.path(clip), 0
        while inspections < _MOST_INSPECTIONS:
            found = stamp(path)
            if self._stamps.get(clip) != found:
                self._inspect(clip, path)
                self._stamps[clip] = found
                inspections += 1
            layout = self._layouts.get(clip)
            if layout is None:
                return OnHost(clip, numbers), inspections + 1
            try:
                content = layout.read(str(path), numbers)
            except ChangedError:
                self._stamps.pop(clip, None)
                continue
            opened = inspections + (len(numbers) if isinstance(layout, FrameFolder) else 1)
            if isinstance(content, Images) and not all(is_whole_image(file.tobytes()) for file in content.files):
                return OnHost(clip, numbers), opened  # Pillow reports the error
            return content, opened
        raise DatasetError("changes while it is read, or a frame is a broken link")

    def decode(self, wanted: OnHost) -> list[Frames]:
        """Decode a clip on the host."""
        path = self.dataset.path(wanted.clip)
        if packets := self._packets.get(wanted.clip):
            try:
                return packets.decode(read_file(str(path)), wanted.numbers)
            except MEDIA_ERRORS:  # the file has changed, or FFmpeg needs the container
                self._packets.pop(wanted.clip, None)
        return read_frames(path, self.dataset.kind_of(wanted.clip), wanted.numbers.tolist())

    def leave_to_host(self, clip: int, why: str) -> None:
        """Decode this clip on the host from now on."""
        self._layouts.pop(clip, None)
        self.on_host[clip] = why

    def _inspect(self, clip: int, path: Path) -> None:
        """Find and store a clip's layout: half a millisecond for folders, two for videos."""
        self._layouts.pop(clip, None)
        self._packets.pop(clip, None)
        self.on_host.pop(clip, None)
        table = self.dataset.clips
        if self.dataset.kind_of(clip) == "frames":
            self._layouts[clip] = layout_of_frames(path, int(table.frames[clip]))
            return
        if table.frames[clip] > LONG or path.stat().st_size > _LARGE:
            self.on_host[clip] = "it is long or large, and not read whole"
            return
        codec = table.codec[clip] or ""
        why = self._refusal(codec, int(table.width[clip]), int(table.height[clip]))
        found = layout_of_video(path, codec, int(table.frames[clip]), for_nvdec=self._for_nvdec) if why is None else why
        if not isinstance(found, str):
            self._layouts[clip] = found
            return
        if codec in CODECS and (packets := look_at_packets(read_file(str(path)))):
            self._packets[clip] = packets
        self.on_host[clip] = found
