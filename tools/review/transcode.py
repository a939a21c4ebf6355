"""A clip as every browser plays it: VP9 in WebM, small, at most some seconds."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.media.containers import open_video
from sciu.pipeline.dataset.media.encode import encode_video
from sciu.pipeline.dataset.media.kinds import frame_files, is_folder
from sciu.pipeline.dataset.media.probe import MEDIA_ERRORS, MISSING, reason
from sciu.pipeline.dataset.media.read import decode_image, read_images, read_video, video_stream
from sciu.pipeline.errors import shown

_LONGEST = 384  # pixels of the longer side
_MOST_FRAMES = 250
_RATE = Fraction(25)  # of frames in a folder
_SLOWEST, _FASTEST = 1, 120
# 75 frames of 384 x 384 on one core: 0.19 s, H.264 `ultrafast` 0.11 s, VP8 0.18 to 0.26 s. Not every browser has H.264.
_ENCODER = ("libvpx-vp9", "webm", {"crf": "30", "b": "0", "deadline": "realtime", "cpu-used": "8", "threads": "1"})

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Source:
    """Where the frames of a clip are; all that a worker needs to know."""

    root: Path  # of the dataset's media: nothing outside is read
    path: Path
    kind: str
    frames: int


@dataclass(frozen=True)
class Video:
    """A clip to play; without content, why there is none."""

    content: bytes = b""
    note: str = ""  # what of the clip it does not show


def transcode(source: Source) -> Video:
    """Draw a clip anew; of a damaged one as many frames as there are before the damage."""
    wanted, drawn = min(source.frames, _MOST_FRAMES), _Drawn()
    try:
        _require_inside(source)
        drawn.rate = _rate(source)
        if source.kind == "video":
            read_video(source.path, range(wanted), drawn.add)
        else:
            for content in read_images(source.path, range(wanted)):
                drawn.add(decode_image(content))
    except FileNotFoundError:
        drawn.fault = MISSING
    except MEDIA_ERRORS as error:
        drawn.fault = shown(reason(error))
    if not drawn.frames:
        return Video(note=drawn.fault or "has no frames")
    count, there = len(drawn.frames), f"{source.frames:,} frames"
    if drawn.fault:
        return Video(drawn.encoded(), f"{count:,} of {there}, because the file {drawn.fault}")
    return Video(drawn.encoded(), f"the first {count:,} of {there}" if count < source.frames else "")


@dataclass
class _Drawn:
    """The frames of a clip so far, all of one size, which is even: the codec's colours are per four pixels."""

    frames: list[Frames] = field(default_factory=list)
    rate: Fraction = _RATE
    fault: str = ""

    def add(self, frame: Frames) -> Frames:
        """Add a frame, as small as the first; return it."""
        height, width = (self.frames[0] if self.frames else frame).shape[:2]
        scale = min(1.0, _LONGEST / max(height, width))
        size = tuple(max(round(side * scale / 2) * 2, 2) for side in (width, height))
        small = Image.fromarray(frame).resize(size, reducing_gap=1.0)  # a gap of 1 halves first: twice as fast
        self.frames.append(np.asarray(small))
        return self.frames[-1]

    def encoded(self) -> bytes:
        """Return the file."""
        return encode_video(self.frames, *_ENCODER, rate=self.rate)


def _rate(source: Source) -> Fraction:
    """Return how many frames a second shows; frames in a folder do not say."""
    if source.kind != "video":
        return _RATE
    with open_video(source.path) as container:
        stream = video_stream(container)
        rate = getattr(stream, "average_rate", None)
    return rate if rate and _SLOWEST <= rate <= _FASTEST else _RATE


def _require_inside(source: Source) -> None:
    """Raise unless a clip, and each of its frames, lies in the dataset's media, wherever links lead."""
    root = os.path.realpath(source.root)
    files = frame_files(source.path) if is_folder(source.path) else []
    for path in (source.path, *files):
        if not Path(os.path.realpath(path)).is_relative_to(root):
            raise DatasetError(f"lies outside the media folder of the dataset, '{root}'")
