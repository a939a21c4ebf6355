"""A dataset with a clip of every kind, and feeds read to their end."""

from __future__ import annotations

import io
import multiprocessing
import struct
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.stream import Disposition
from helpers import H264, make_dataset, moving_picture, write_clip, write_frames
from numpy.typing import NDArray
from PIL import Image

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.importers import folder
from sciu.pipeline.dataset.media.encode import encode_clip, encode_jpeg, encode_video
from sciu.pipeline.feed.feed import Feed
from sciu.pipeline.feed.plan.augmentation import Augmentation
from sciu.pipeline.feed.plan.plan import Plan, Planner
from sciu.pipeline.feed.plan.sampling import Sampling
from sciu.pipeline.feed.torch_feed import TorchFeed
from sciu.purification import EpochIndex

CPU = torch.device("cpu")
SIZE = 32
PLAIN = Augmentation(crop="centre", flip=0)
AUGMENTATIONS = {
    "plain": PLAIN,
    "resized": Augmentation(),
    "shifted": Augmentation(crop="shifted"),
    "everything": Augmentation(rotation=8, brightness=0.3, contrast=0.3),
}
WITH_B_FRAMES = ("libx264", "mp4", {"x264-params": "bframes=3:b-pyramid=normal:keyint=12"})
VIDEOS: dict[str, tuple[tuple[str, str, dict[str, str]], str]] = {
    "vp9.webm": (("libvpx-vp9", "webm", {}), "yuv420p"),
    "vp9 444.webm": (("libvpx-vp9", "webm", {}), "yuv444p"),
    "vp8 hidden frames.webm": (("libvpx", "webm", {"auto-alt-ref": "1", "lag-in-frames": "16"}), "yuv420p"),
    "b-frames.mp4": (WITH_B_FRAMES, "yuv420p"),
    "b-frames.avi": (("libx264", "avi", {"x264-params": "bframes=3"}), "yuv420p"),  # its times are no showing times
    "444.mp4": (H264, "yuv444p"),
    "ten bits.mp4": (("libx265", "mp4", {"x265-params": "log-level=none"}), "yuv420p10le"),
    "mpeg4.avi": (("mpeg4", "avi", {"q:v": "3"}), "yuv420p"),
    "mjpeg.avi": (("mjpeg", "avi", {"q:v": "3"}), "yuvj420p"),
    "mjpeg.mkv": (("mjpeg", "matroska", {"q:v": "3"}), "yuvj420p"),
}


@dataclass
class Work:
    """An event of a queue of work whose end a test decides, and the stream that records it."""

    done: bool = False
    waited: int = 0

    def query(self) -> bool:
        return self.done

    def synchronize(self) -> None:
        self.waited += 1
        self.done = True

    def record_event(self) -> Work:
        return self


def make_zoo(place: Path) -> Dataset:
    """One clip of every kind, of several sizes and lengths."""
    source = place / "src" / "train" / "happy"
    source.mkdir(parents=True)
    for name, (encoder, pixels) in VIDEOS.items():
        (source / name).write_bytes(encode_video(moving_picture(40, 96, 96), *encoder, pixels=pixels))
    (source / "odd size.mp4").write_bytes(encode_video(moving_picture(20, 51, 37), *H264, pixels="yuv444p"))
    (source / "breit.webm").write_bytes(encode_video(moving_picture(20, 64, 36), "libvpx-vp9", "webm", {}))
    (source / "sideways.mp4").write_bytes(turned(encode_video(moving_picture(20), "libvpx-vp9", "mp4", {})))
    (source / "jpegs sideways.mp4").write_bytes(turned(encode_clip(moving_picture(20), "mjpeg")))
    (source / "two streams.mkv").write_bytes(two_streams(moving_picture(12), moving_picture(24)[::-1]))
    (source / "rate varies.mp4").write_bytes(at_varying_rate(moving_picture(30)))
    write_clip(source / "three frames.mp4", "mjpeg", frames=3)
    write_clip(source / "顔.mp4", "mjpeg", frames=25)
    write_clip(source / "packed.zip", "jpeg", frames=18)
    write_frames(source / "frames", moving_picture(21))
    write_frames(source / "two frames", moving_picture(2, 60, 40))
    write_frames(source / "sizes differ", [moving_picture(30, 40 + k, 50 - k)[3 * k] for k in range(10)])
    (source / "pngs").mkdir()
    for number, frame in enumerate(moving_picture(17)):
        Image.fromarray(frame).save(source / "pngs" / f"{number}.png")
    (source / "still.jpg").write_bytes(encode_jpeg(moving_picture(1)[0]))
    return make_dataset(folder.read(place / "src"), place / "zoo")


def two_streams(first: list[NDArray[np.uint8]], second: list[NDArray[np.uint8]]) -> bytes:
    """Two VP9 streams in one file, the second longer and the default."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        streams: list[Any] = [container.add_stream("libvpx-vp9", rate=25) for _ in range(2)]
        for stream, frames in zip(streams, (first, second), strict=True):
            stream.height, stream.width = frames[0].shape[:2]
        streams[0].disposition, streams[1].disposition = Disposition(0), Disposition.default
        for stream, frames in zip(streams, (first, second), strict=True):
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
    return buffer.getvalue()


def png_bomb() -> bytes:
    """A PNG file that claims to be 900,000 pixels wide and high."""
    header = struct.pack(">IIBBBBB", 900_000, 900_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", header) + _png_chunk(b"IDAT", b"") + _png_chunk(b"IEND", b"")


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def turned(video: bytes) -> bytes:
    """Make an MP4 file say that it is to be shown turned by 90 degrees."""
    at = video.index(b"tkhd") + 4 + 4 + 20 + 16
    matrix = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    return video[:at] + matrix + video[at + len(matrix) :]


def at_varying_rate(frames: list[NDArray[np.uint8]]) -> bytes:
    """Encode frames that are shown for 1, 2, 3, 1, 2, 3, ... ticks."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.codec_context.time_base = Fraction(1, 1000)
        time = 0
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            time += 20 * (1 + number % 3)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def index_of(dataset: Dataset, ids: Iterable[int] | None = None, epoch: int = 1) -> EpochIndex:
    """An index as the purifier makes it."""
    chosen = np.array(sorted(range(len(dataset)) if ids is None else ids), np.int64)
    return EpochIndex.given(chosen, dataset.labels, epoch)


def delivered(feed: Feed, plan: Plan, start: int = 0) -> dict[int, NDArray[np.uint8]]:
    """Read a feed to its end: pixels by clip id."""
    return {
        clip: frames
        for batch in feed.batches(plan, start)
        for clip, frames in zip(batch.ids.tolist(), batch.frames_BTHWC.cpu().numpy().copy(), strict=True)
    }


def resident_bytes() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def wait_in_mid_epoch(data: str) -> None:
    """Begin an epoch of a TorchFeed, say who its workers are, and wait to be killed."""
    dataset = Dataset.load(data)
    with TorchFeed(dataset=dataset, device=torch.device("cpu"), size=32, threads=2) as feed:
        next(feed.batches(Planner(dataset=dataset, size=32, batch_size=4).training(index_of(dataset))))
        print(*(worker.pid for worker in multiprocessing.active_children()), flush=True)
        time.sleep(60)


def plan_of(dataset: Dataset, epoch: int = 1, ids: Any = None, **settings: Any) -> Plan:
    given = {"size": SIZE, "batch_size": 4, "sampling": Sampling(frames=8), "augmentation": PLAIN}
    return Planner(dataset=dataset, **{**given, **settings}).training(index_of(dataset, ids, epoch))


def same(a: dict[int, NDArray[np.uint8]], b: dict[int, NDArray[np.uint8]]) -> bool:
    return [*a] == [*b] and all(np.array_equal(a[clip], b[clip]) for clip in a)
