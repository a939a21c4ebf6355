"""Images that would crash DALI are kept from it, and no others."""

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

from sciu.pipeline.dataset.media.encode import encode_jpeg
from sciu.pipeline.dataset.media.images import is_whole_image
from sciu.pipeline.feed.decode.dali import ImageDecoder, Refused
from sciu.pipeline.feed.files.clip_layout import Images

PICTURE = moving_picture(1)[0]


def encoded(kind: str, mode: str = "RGB", **settings: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).convert(mode).save(buffer, kind, **settings)
    return buffer.getvalue()


JPEG, PNG = encode_jpeg(PICTURE), encoded("PNG")
GOOD = {
    "jpeg": JPEG,
    "progressive": encoded("JPEG", progressive=True),
    "grey": encoded("JPEG", "L"),
    "with exif": encoded("JPEG", exif=b"Exif\0\0" + bytes(3000)),
    "with bytes behind it": JPEG + bytes(100),
    "png": PNG,
    "png with alpha": encoded("PNG", "RGBA"),
    "grey png": encoded("PNG", "L"),
}
BAD = {
    "empty": b"",
    "junk": b"junk" * 100,
    "gif": encoded("GIF"),
    "a wrong length": JPEG[:4] + b"\xff\xff" + JPEG[6:],
    "no frame": JPEG[:2] + JPEG[JPEG.index(b"\xff\xda") :],
    "two bytes": b"\xff\xd8",
}


def as_bytes(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content, np.uint8)


def test_dali_decodes_whole_images() -> None:
    """The batch is as large as in training, where DALI would crash on an image that it cannot decode."""
    decoder = ImageDecoder(torch.device("cpu"), 2)
    assert all(is_whole_image(content) for content in GOOD.values())
    decoder.put([Images([as_bytes(content)] * 8) for content in GOOD.values()])
    assert not any(isinstance(each, Refused) for each in decoder.take())


@pytest.mark.parametrize("name", list(BAD))
def test_what_is_none(name: str) -> None:
    assert not is_whole_image(BAD[name])


@pytest.mark.parametrize("content", [JPEG, GOOD["progressive"], GOOD["with exif"], PNG])
def test_whatever_is_cut_off_is_not_whole(content: bytes) -> None:
    assert not any(is_whole_image(content[:at]) for at in range(len(content) - 1))


@given(st.integers(0, len(PNG) - 1), st.integers(1, 255))
def test_a_png_that_was_changed_anywhere_is_not_whole(at: int, change: int) -> None:
    changed = bytearray(PNG)
    changed[at] ^= change
    assert not is_whole_image(bytes(changed))


@given(st.binary(max_size=200), st.integers(0, len(JPEG)))
def test_anything_may_come(junk: bytes, at: int) -> None:
    is_whole_image(junk)
    is_whole_image(JPEG[:at] + junk)
    is_whole_image(PNG[:8] + junk)
