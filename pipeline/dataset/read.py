"""The pixels of one clip on the host, for packing, synthesis checks and experiments; training has its own feed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.media import PACKED_SUFFIX, frame_files
from sciu.pipeline.dataset.packed import frames_of

Frames = NDArray[np.uint8]


def read_video(path: Path, numbers: Sequence[int]) -> list[Frames]:
    """Decode the frames with these numbers (ascending, from 0), each [H, W, 3] RGB."""
    wanted, found = set(numbers), {}
    with av.open(path) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                found[number] = frame.to_ndarray(format="rgb24")
            if len(found) == len(wanted):
                break
    if missing := sorted(wanted - set(found)):
        raise DatasetError(f"has no frame {missing[0]}: the file is shorter than the table says")
    return [found[number] for number in numbers]


def read_images(path: Path, numbers: Sequence[int]) -> list[bytes]:
    """Return the undecoded image files with these numbers (from 0) of a frames clip."""
    if path.suffix.lower() == PACKED_SUFFIX and path.is_file():
        jpegs = frames_of(path.read_bytes())
        return [jpegs[number] for number in numbers]
    files = frame_files(path)
    if len(files) <= max(numbers):
        raise DatasetError(f"has {len(files)} frames, fewer than the table says")
    return [files[number].read_bytes() for number in numbers]


def decode_image(content: bytes) -> Frames:
    """Decode an image file to [H, W, 3] RGB."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def read_frames(path: Path, kind: str, numbers: Sequence[int]) -> list[Frames]:
    """Return the frames with these numbers (ascending, from 0) of a clip of either kind."""
    if kind == "video":
        return read_video(path, numbers)
    return [decode_image(content) for content in read_images(path, numbers)]
