"""Packed frames are read back unchanged, and a damaged file is detected."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sciu.pipeline.dataset import DatasetError
from sciu.pipeline.dataset.media.packed import frame_spans, frames_of, pack_frames


@given(st.lists(st.binary(max_size=50), max_size=60))
def test_round_trip(jpegs: list[bytes]) -> None:
    assert frames_of(pack_frames(jpegs)) == jpegs


def test_any_zip_tool_opens_it() -> None:
    with zipfile.ZipFile(io.BytesIO(pack_frames([b"one", b"two"]))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["00001.jpg", "00002.jpg"]
        assert archive.read("00002.jpg") == b"two"


@given(st.integers(0, 400))
def test_a_cut_file_is_never_read_as_whole(cut: int) -> None:
    whole = pack_frames([b"abc" * 9, b"def" * 30])
    if cut < len(whole):
        with pytest.raises(DatasetError):
            frames_of(whole[:cut])


def zipped(names: list[str], compression: int) -> NDArray[np.uint8]:
    """A zip file as other tools write it; the first entry is stored."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for place, name in enumerate(names):
            archive.writestr(name, b"x" * 100, zipfile.ZIP_STORED if place == 0 else None)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def test_a_foreign_zip_is_refused() -> None:
    with pytest.raises(DatasetError, match="not laid out as `sciu-data pack` does: unpack it to a folder of frames"):
        frame_spans(zipped(["frame with another name.jpg", "b.jpg"], zipfile.ZIP_STORED))


@pytest.mark.parametrize("names", [["00001.jpg", "00002.jpg"], ["a frame.jpg", "b.jpg"], ["other/1.jpg", "2.jpg"]])
def test_a_compressed_zip_is_called_so(names: list[str]) -> None:
    with pytest.raises(DatasetError, match="is a zip file that is compressed: unpack it to a folder of frames"):
        frame_spans(zipped(names, zipfile.ZIP_DEFLATED))
