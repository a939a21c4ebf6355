"""Small real clips and datasets, what a command said, and tasks for worker processes, which can import this file."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.build import build
from sciu.pipeline.dataset.importers import Listing
from sciu.pipeline.dataset.media.encode import encode_clip, encode_jpeg, encode_video
from sciu.pipeline.dataset.table import Categories


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


def cut_at_a_keyframe(content: bytes, container: str, keyframe: int) -> bytes:
    """The video from its so-manieth keyframe on, as `ffmpeg -c copy` cuts one."""
    out = io.BytesIO()
    with av.open(io.BytesIO(content)) as source, av.open(out, "w", format=container) as target:
        copy = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        begin = [place for place, packet in enumerate(packets) if packet.is_keyframe][keyframe]
        for packet in packets[begin:]:
            packet.stream = copy
            target.mux(packet)
    return out.getvalue()


def cut(path: Path, share: float = 0.6) -> Path:
    """Cut a file off, and return it."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


UNUSABLE = {
    "empty.mp4": "is an empty file",
    "junk.mp4": "is not a video file, or is damaged",
    "folder.mp4": "is a folder, not a video file",
    "sound.mp4": "has no video stream",
    "zero.avi": "has zero frames",
    "unknown.mkv": "unsupported codec",
    "bare": "has zero frames: it contains no JPEG or PNG file",
    "empty.jpg": "is an empty file",
    "junk.png": "is not a JPEG or PNG image, despite its name",
    "junk.zip": "packed clip is truncated",
}
H264 = ("libx264", "mp4", {"preset": "ultrafast"})


def make_unusable_clips(folder: Path) -> None:
    """One of every kind of unusable clip."""
    for name in ("empty.mp4", "empty.jpg"):
        (folder / name).touch()
    for name in ("junk.mp4", "junk.png", "junk.zip"):
        (folder / name).write_bytes(b"this is not what its name says " * 50)
    for name in ("folder.mp4", "bare"):
        (folder / name).mkdir()
    with av.open(folder / "sound.mp4", "w") as container:
        sound = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    with av.open(folder / "zero.avi", "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 48
        container.start_encoding()
    known = encode_video(moving_picture(), "mpeg4", "matroska", {})
    assert b"V_MPEG4/ISO/ASP" in known
    (folder / "unknown.mkv").write_bytes(known.replace(b"V_MPEG4/ISO/ASP", b"V_NOSUCHCODECXX"))


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


def without_groups(dataset: Dataset, place: Path) -> Dataset:
    """Copy a dataset whose people are few, and forget who they are, so that its clips can be divided one by one."""
    copied = Dataset.load(shutil.copytree(dataset.folder, place))
    return copied.save_clips(copied.clips.replace(group=Categories.of([None] * len(copied))))


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
