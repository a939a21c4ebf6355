"""Packed frames are read back unchanged, and a damaged file is detected."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_a_foreign_zip_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("frame with another name.jpg", b"x")
    with pytest.raises(DatasetError, match="sciu-data pack"):
        frame_spans(np.frombuffer(buffer.getvalue(), np.uint8))
