"""The files of the clips: what a decoder needs of them, read on the host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.media.images import is_whole_image
from sciu.pipeline.dataset.media.probe import MEDIA_ERRORS
from sciu.pipeline.dataset.media.read import Frames, read_frames
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

_MOST_LOOKS = 2  # in one read


@dataclass(frozen=True)
class OnHost:
    """A clip that FFmpeg or Pillow decode on the host, and which of its frames are wanted."""

    clip: int
    numbers: NDArray[np.int32]


class ClipFiles:
    """Reads clips; several threads may."""

    def __init__(self, dataset: Dataset, refusal: Refusal, *, for_nvdec: bool = False) -> None:
        self.dataset = dataset
        self._refusal = refusal
        self._for_nvdec = for_nvdec
        self._stamps: dict[int, tuple[int, ...]] = {}  # of the file that was looked at
        self._sights: dict[int, ClipLayout] = {}
        self._packets: dict[int, Packets] = {}
        self.on_host: dict[int, str] = {}  # clips that DALI does not decode, and why

    def read(self, clip: int, numbers: NDArray[np.int32]) -> tuple[Images | Video | OnHost, int]:
        """Return a clip's frames, encoded or for the host to decode, and how many files are opened for it."""
        path, looks = self.dataset.path(clip), 0
        while looks < _MOST_LOOKS:
            seen = stamp(path)
            if self._stamps.get(clip) != seen:
                self._look(clip, path)
                self._stamps[clip] = seen
                looks += 1
            sight = self._sights.get(clip)
            if sight is None:
                return OnHost(clip, numbers), looks + 1
            try:
                content = sight.read(str(path), numbers)
            except ChangedError:
                self._stamps.pop(clip, None)
                continue
            opened = looks + (len(numbers) if isinstance(sight, FrameFolder) else 1)
            if isinstance(content, Images) and not all(is_whole_image(file.tobytes()) for file in content.files):
                return OnHost(clip, numbers), opened  # where Pillow says what is wrong
            return content, opened
        raise DatasetError("changes while it is read, or a frame of it leads nowhere")

    def decode(self, wanted: OnHost) -> list[Frames]:
        """Decode a clip on the host."""
        path = self.dataset.path(wanted.clip)
        if packets := self._packets.get(wanted.clip):
            try:
                return packets.decode(read_file(str(path)), wanted.numbers)
            except MEDIA_ERRORS:  # the file is another one now, or FFmpeg makes more of it with the container's help
                self._packets.pop(wanted.clip, None)
        return read_frames(path, self.dataset.kind_of(wanted.clip), wanted.numbers.tolist())

    def leave_to_host(self, clip: int, why: str) -> None:
        """From now on decode this clip on the host."""
        self._sights.pop(clip, None)
        self.on_host[clip] = why

    def _look(self, clip: int, path: Path) -> None:
        """See what a clip is: half a millisecond for folders, two for videos."""
        self._sights.pop(clip, None)
        self._packets.pop(clip, None)
        self.on_host.pop(clip, None)
        table = self.dataset.clips
        if self.dataset.kind_of(clip) == "frames":
            self._sights[clip] = layout_of_frames(path, int(table.frames[clip]))
            return
        codec = table.codec[clip] or ""
        why = self._refusal(codec, int(table.width[clip]), int(table.height[clip]))
        sight = layout_of_video(path, codec, int(table.frames[clip]), for_nvdec=self._for_nvdec) if why is None else why
        if not isinstance(sight, str):
            self._sights[clip] = sight
            return
        if codec in CODECS and (packets := look_at_packets(read_file(str(path)))):
            self._packets[clip] = packets
        self.on_host[clip] = sight
