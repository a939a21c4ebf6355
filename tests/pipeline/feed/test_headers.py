"""What DALI would die of is kept from it, and nothing else."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from helpers import moving_picture
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from sciu.pipeline.dataset.encode import encode_jpeg
from sciu.pipeline.feed.dali import ImageDecoder, Refused
from sciu.pipeline.feed.headers import has_whole_header
from sciu.pipeline.feed.sights import Images

PICTURE = moving_picture(1)[0]


def encoded(kind: str, mode: str = "RGB", **settings: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).convert(mode).save(buffer, kind, **settings)
    return buffer.getvalue()


JPEG = encode_jpeg(PICTURE)
SCAN = JPEG.index(b"\xff\xda")
GOOD = {
    "jpeg": JPEG,
    "progressive": encoded("JPEG", progressive=True),
    "grey": encoded("JPEG", "L"),
    "cmyk": encoded("JPEG", "CMYK"),
    "with exif": encoded("JPEG", exif=b"Exif\0\0" + bytes(3000)),
    "png": encoded("PNG"),
    "png with alpha": encoded("PNG", "RGBA"),
    "cut in its scan": JPEG[: SCAN + 60],
    "png cut in its data": encoded("PNG")[: len(encoded("PNG")) // 2],
}
BAD = {
    "empty": b"",
    "junk": b"junk" * 100,
    "gif": encoded("GIF"),
    "cut in its tables": JPEG[:100],
    "cut at its scan": JPEG[:SCAN],
    "two bytes": b"\xff\xd8",
    "a png's first bytes": encoded("PNG")[:20],
    "a wrong length": JPEG[:4] + b"\xff\xff" + JPEG[6:],
}


def as_bytes(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content, np.uint8)


@pytest.mark.parametrize("name", list(GOOD))
def test_whole_headers(name: str) -> None:
    assert has_whole_header(as_bytes(GOOD[name]))


@pytest.mark.parametrize("name", list(BAD))
def test_broken_headers(name: str) -> None:
    assert not has_whole_header(as_bytes(BAD[name]))


@given(st.binary(max_size=200), st.integers(0, len(JPEG)))
def test_anything_may_come(junk: bytes, at: int) -> None:
    has_whole_header(as_bytes(junk))
    has_whole_header(as_bytes(JPEG[:at] + junk))
    assert has_whole_header(as_bytes(JPEG[:at])) == (at >= SCAN + 14)  # three components in its scan


@pytest.mark.parametrize("name", ["cut in its scan", "png cut in its data"])
def test_dali_raises_at_what_is_let_through(name: str) -> None:
    """With as many images in the batch as a training has: that it raises is all that is asked of it."""
    decoder = ImageDecoder(torch.device("cpu"), 2)
    for _ in range(3):
        decoder.put([Images([as_bytes(JPEG)] * 31), Images([as_bytes(GOOD[name])]), Images([as_bytes(JPEG)] * 32)])
        taken = decoder.take()
        assert [isinstance(each, Refused) for each in taken] == [False, True, False]
