"""Decoding from known packets gives bit for bit the same as decoding the file."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
from feeding import at_varying_rate, turned
from helpers import H264, cut, moving_picture
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sciu.pipeline.dataset import DatasetError
from sciu.pipeline.dataset.media.encode import encode_clip, encode_video
from sciu.pipeline.dataset.media.read import read_video
from sciu.pipeline.feed.files.packets import Packets, look_at_packets

FRAMES = moving_picture(40, 96, 96)  # x265 crashes on smaller ones
KINDS = {
    "b-frames": ("libx264", "mp4", {"x264-params": "bframes=3:b-pyramid=normal"}, "yuv420p"),
    "open groups": ("libx264", "mp4", {"x264-params": "bframes=3:open-gop=1:keyint=8:scenecut=0"}, "yuv420p"),
    "no b-frames": (*H264, "yuv420p"),
    "matroska": ("libx264", "matroska", {"x264-params": "bframes=2"}, "yuv420p"),
    "4:4:4": ("libx264", "mp4", {"x264-params": "bframes=2"}, "yuv444p"),
    "10 bits": ("libx265", "mp4", {"x265-params": "log-level=none:bframes=4"}, "yuv420p10le"),
    "open hevc groups": ("libx265", "mp4", {"x265-params": "log-level=none:open-gop=1:keyint=8"}, "yuv420p"),
}
VIDEOS = {
    name: encode_video(FRAMES, encoder, container, options, pixels=pixels)
    for name, (encoder, container, options, pixels) in KINDS.items()
} | {"varying rate": at_varying_rate(FRAMES), "ours": encode_clip(FRAMES, "h264")}


def content_of(video: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(video, np.uint8)


def packets_of(video: bytes) -> Packets:
    found = look_at_packets(content_of(video))
    assert found is not None
    return found


PACKETS = {name: packets_of(video) for name, video in VIDEOS.items()}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(VIDEOS)), st.sets(st.integers(0, 39), min_size=1, max_size=16))
def test_the_same_pixels_as_from_the_file(
    tmp_path_factory: pytest.TempPathFactory, name: str, wanted: set[int]
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(VIDEOS[name])
    numbers = np.array(sorted(wanted), np.int32)
    found = PACKETS[name].decode(content_of(VIDEOS[name]), numbers)
    assert np.array_equal(np.stack(found), np.stack(read_video(path, numbers.tolist())))
    with av.open(io.BytesIO(VIDEOS[name])) as container:
        plain = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert np.array_equal(np.stack(found), np.stack(plain)[numbers]), "and as from decoding all frames one by one"


def test_packets_behind_the_last_wanted_frame_are_not_touched() -> None:
    name = "no b-frames"
    end = int(PACKETS[name].spans[9, 1])
    ruined = bytearray(VIDEOS[name])
    ruined[end : int(PACKETS[name].spans[-1, 1])] = bytes(int(PACKETS[name].spans[-1, 1]) - end)
    assert len(PACKETS[name].decode(content_of(bytes(ruined)), np.array([0, 9], np.int32))) == 2


def test_a_video_to_be_turned_is_left_to_the_reader_that_turns_it() -> None:
    assert look_at_packets(content_of(turned(VIDEOS["ours"]))) is None


def test_packets_that_are_not_in_the_file_as_they_are_decoded() -> None:
    assert look_at_packets(content_of(encode_video(FRAMES, "libx264", "mpegts", {}))) is None


def test_times_that_mislead_are_not_believed() -> None:
    """AVI files store decoding times."""
    assert look_at_packets(content_of(encode_video(FRAMES, "libx264", "avi", {"x264-params": "bframes=3"}))) is None


def test_a_file_that_became_another_one_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(VIDEOS["ours"])
    short = content_of(cut(tmp_path / "clip.mp4", 0.3).read_bytes())
    with pytest.raises(DatasetError, match="is shorter than it was"):
        PACKETS["ours"].decode(short, np.array([39], np.int32))
    with pytest.raises(DatasetError, match="has no frame 40"):
        PACKETS["ours"].decode(content_of(VIDEOS["ours"]), np.array([40], np.int32))
