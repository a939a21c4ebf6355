"""Read one clip on the host, for probing, packing and experiments; training uses a feed instead.

Pixels are upright: rotation metadata is applied, in videos and in images.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.media.containers import open_video
from sciu.pipeline.dataset.media.kinds import frame_files, is_packed, require_file
from sciu.pipeline.dataset.media.packed import frames_of
from sciu.pipeline.dataset.media.seek import Times

Frames = NDArray[np.uint8]

LONG = 3_000
"""A video with more frames is not decoded from its first, nor held in memory."""


def as_it_is(frame: Frames) -> Frames:
    """Return the frame unchanged."""
    return frame


def read_frames(path: Path, kind: str, numbers: Sequence[int]) -> list[Frames]:
    """Return the frames with these numbers (ascending, from 0) of a clip, each [H, W, 3] RGB."""
    if kind == "video":
        return read_video(path, numbers)
    return [decode_image(content) for content in read_images(path, numbers)]


# ---- videos


def video_stream(container: Any) -> Any:
    """Return the first video stream, or None; a sound file's cover picture does not count."""
    moving = (s for s in container.streams.video if not s.disposition & Disposition.attached_pic)
    return next(moving, None)


def read_video(path: Path, numbers: Sequence[int], convert: Callable[[Frames], Frames] = as_it_is) -> list[Frames]:
    """Decode the frames with these numbers and convert each at once: whole clips of large frames fill the memory."""
    _require_numbers(numbers)
    wanted, found = set(numbers), dict[int, Frames]()
    reformatter = VideoReformatter()  # one for all frames: creating it costs as much as converting eight
    with require_file(path).open("rb"):  # raises errors of the disk as such, not as FFmpeg's
        pass
    ways = [_jumping, _from_the_first] if max(wanted, default=0) >= LONG else [_from_the_first]
    for way in ways:
        for number, frame in way(path, sorted(wanted)):
            if number in wanted:
                found[number] = convert(upright(frame, reformatter))
            if len(found) == len(wanted):
                return [found[number] for number in numbers]
    raise DatasetError(f"has no frame {min(wanted - set(found))}: it is shorter than the table says")


def _from_the_first(path: Path, _wanted: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Yield all frames of a video with their numbers."""
    with _opened(path) as (container, stream):
        yield from enumerate(container.decode(stream))


def _jumping(path: Path, wanted: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Yield some frames of a video, all of them if its packets have the times that they are found by."""
    with _opened(path) as opened:
        times = Times.of(*opened)
    if times:
        with _opened(path) as opened:
            yield from times.frames(*opened, wanted)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a video and its stream; clips, not slices, are spread over the cores."""
    with open_video(path) as container:
        stream = video_stream(container)
        if stream is None or stream.codec_context is None:
            raise DatasetError("has no video stream that FFmpeg can decode")
        stream.thread_type = "NONE"
        yield container, stream


def _require_numbers(numbers: Sequence[int]) -> None:
    if numbers and min(numbers) < 0:
        raise DatasetError(f"frame numbers must be at least 0, but one is {min(numbers)}")


def upright(frame: Any, reformatter: VideoReformatter | None = None) -> Frames:
    """Convert a video frame to RGB and rotate it by its display matrix."""
    pixels: Any = (reformatter or VideoReformatter()).reformat(frame, format="rgb24", threads=1).to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90)) if frame.rotation else pixels


# ---- images


def read_images(path: Path, numbers: Sequence[int]) -> list[bytes]:
    """Return the undecoded image files with these numbers of a frames clip."""
    _require_numbers(numbers)
    images: list[bytes] | list[Path]
    images = frames_of(require_file(path).read_bytes()) if is_packed(path.name) else frame_files(path)
    if numbers and max(numbers) >= len(images):
        raise DatasetError(f"has no frame {max(numbers)}: it is shorter than the table says")
    chosen = [images[number] for number in numbers]
    return [image if isinstance(image, bytes) else require_file(image).read_bytes() for image in chosen]


def load_image(content: bytes) -> Image.Image:
    """Decode an image file completely and rotate it upright."""
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return ImageOps.exif_transpose(image)


def decode_image(content: bytes) -> Frames:
    """Decode an image file to [H, W, 3] RGB; grey of 16 bits is scaled to 8, not clipped to white."""
    image = load_image(content)
    if image.mode.startswith("F"):
        raise DatasetError(f"has pixels of mode {image.mode}, which are not colours")
    if image.mode.startswith("I"):
        grey = (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.asarray(image.convert("RGB"))
