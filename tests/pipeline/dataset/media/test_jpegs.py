"""What the quick decoder accepts, Pillow reads, whatever has become of the file; what it refuses, Pillow judges."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from helpers import moving_picture, write_frames
from hypothesis import given, settings
from mutated import contents
from numpy.typing import NDArray
from PIL import Image

from sciu.pipeline.dataset.media.encode import encode_jpeg
from sciu.pipeline.dataset.media.images import jpeg_header
from sciu.pipeline.dataset.media.jpegs import JpegDecoder
from sciu.pipeline.dataset.media.probe import probe
from sciu.pipeline.dataset.media.read import load_image

PICTURE = moving_picture(1)[0]
WHOLE = encode_jpeg(PICTURE)
HEADER = len(jpeg_header(WHOLE))


def encoded(mode: str = "RGB", picture: NDArray[np.uint8] = PICTURE, **how: bool) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(buffer, "JPEG", **how)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_frames_of_one_encoder_are_accepted(mode: str) -> None:
    frames = [encoded(mode, picture) for picture in moving_picture(3)]
    decoder = JpegDecoder(frames[0])
    assert all(decoder.decodes(content) for content in [*frames, frames[2] + bytes(100)])


OTHERS = [b"", b"junk", WHOLE[:-2], WHOLE[: len(WHOLE) // 2], WHOLE[:2], encoded("CMYK"), encoded(progressive=True)]


@pytest.mark.parametrize("content", OTHERS)
def test_others_are_left_to_pillow(content: bytes) -> None:
    decoder = JpegDecoder(WHOLE)
    assert not decoder.decodes(content)
    assert decoder.decodes(WHOLE)  # and the next frame is not taken for bad


def test_a_progressive_file_is_left_to_pillow() -> None:
    """Its later scans have headers of their own."""
    content = encoded(progressive=True)
    assert not JpegDecoder(content).decodes(content)


@settings(max_examples=300, deadline=None)
@given(contents(WHOLE[HEADER:]))
def test_what_is_accepted_is_read_by_pillow(rest: bytes) -> None:
    content = WHOLE[:HEADER] + rest
    if JpegDecoder(WHOLE).decodes(content):
        assert load_image(content).size == (48, 48)


def test_frames_of_other_sizes_and_formats_in_one_clip(tmp_path: Path) -> None:
    clip = tmp_path / "clip"
    write_frames(clip, moving_picture(3))
    Image.fromarray(PICTURE).resize((20, 30)).save(clip / "4.jpg")
    Image.fromarray(PICTURE).save(clip / "5.png")
    (clip / "6.jpg").write_bytes(encoded("CMYK"))
    found = probe(str(clip), "frames", "decode")
    assert (found.fault, found.frames, found.width) == (None, 6, 48)


def test_a_frame_with_a_hole_is_found(tmp_path: Path) -> None:
    """Its end is there, so that only decoding shows it."""
    clip = tmp_path / "clip"
    write_frames(clip, [np.random.default_rng(k).integers(0, 255, (48, 48, 3)).astype(np.uint8) for k in range(4)])
    whole = (clip / "3.jpg").read_bytes()
    (clip / "3.jpg").write_bytes(whole[:300] + b"\xff\xd9")
    assert probe(str(clip), "frames", "probe").fault is None
    assert "frame 3.jpg does not decode" in (probe(str(clip), "frames", "decode").fault or "")
