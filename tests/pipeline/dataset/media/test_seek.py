"""Frames of a long video are those that decoding it from its first frame gives; what lies between is not decoded."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from helpers import cut_at_a_keyframe, moving_picture
from hypothesis import given, settings
from hypothesis import strategies as st

from sciu.pipeline.dataset import DatasetError
from sciu.pipeline.dataset.media import read
from sciu.pipeline.dataset.media.encode import encode_clip, encode_video
from sciu.pipeline.dataset.media.probe import Depth, probe
from sciu.pipeline.dataset.media.read import read_video
from sciu.pipeline.dataset.media.seek import Times

PICTURES = [np.roll(picture, 7 * number, axis=1) for number, picture in enumerate(2 * moving_picture(40, 64, 64))]
OPEN_GROUPS = {"x264-params": "keyint=8:scenecut=0:open-gop=1:bframes=3:b-adapt=0"}
OPEN_HEVC = {"x265-params": "keyint=9:scenecut=0:open-gop=1:bframes=3:log-level=none"}
VIDEOS = {
    "h264.mp4": encode_video(PICTURES, "libx264", "mp4", {"g": "7"}),
    "open.mp4": encode_video(PICTURES, "libx264", "mp4", OPEN_GROUPS),
    "open.ts": encode_video(PICTURES, "libx264", "mpegts", OPEN_GROUPS),
    "refresh.ts": encode_video(PICTURES, "libx264", "mpegts", {"x264-params": "intra-refresh=1:keyint=10"}),
    "h264.mkv": encode_video(PICTURES, "libx264", "matroska", {"g": "7"}),
    "h264.avi": encode_video(PICTURES, "libx264", "avi", {"g": "7"}),
    "mpeg4.avi": encode_video(PICTURES, "mpeg4", "avi", {"g": "7", "bf": "2"}),
    "mpeg2.ts": encode_video(PICTURES, "mpeg2video", "mpegts", {"g": "7", "bf": "2"}),
    "vp8.webm": encode_video(PICTURES, "libvpx", "webm", {"g": "7", "auto-alt-ref": "1", "lag-in-frames": "10"}),
    "vp9.webm": encode_video(PICTURES, "libvpx-vp9", "webm", {"g": "7", "deadline": "realtime"}),
    "mjpeg.mp4": encode_clip(PICTURES, "mjpeg"),
    "hevc.mkv": encode_video(PICTURES, "libx265", "matroska", OPEN_HEVC),
    "hevc.ts": encode_video(PICTURES, "libx265", "mpegts", OPEN_HEVC),
    "interlaced.ts": encode_video(PICTURES, "libx264", "mpegts", {"g": "7", "x264-params": "interlaced=1"}),
    "mpeg4.mp4": encode_video(PICTURES, "mpeg4", "mp4", {"g": "7", "bf": "2"}),
}
CUT = {
    f"cut.{codec}.{container}": cut_at_a_keyframe(encode_video(PICTURES, encoder, container, options), container, 2)
    for codec, encoder, options in (
        ("h264", "libx264", OPEN_GROUPS),
        ("hevc", "libx265", OPEN_HEVC),
        ("mpeg2", "mpeg2video", {"g": "7", "bf": "2"}),
    )
    for container in ("matroska", "mpegts", "mp4")
}
"""They begin with frames that refer to others before the cut; MP4's edit list says that those are not shown."""


def changed(name: str, container: str, change: Callable[[int, Any], Any]) -> bytes:
    """A video whose packets are others."""
    out = io.BytesIO()
    with av.open(io.BytesIO(VIDEOS[name])) as source, av.open(out, "w", format=container) as target:
        copy = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for packet in [change(number, packet) for number, packet in enumerate(packets)]:
            if packet is not None:
                packet.stream = copy
                target.mux(packet)
    return out.getvalue()


def in_order_of_decoding(_number: int, packet: Any) -> Any:
    """As a program stores that does not know of B-frames."""
    packet.pts = packet.dts
    return packet


def ended(number: int, packet: Any) -> Any:
    """With an end of the sequence in the middle, as where two videos were joined."""
    if number % 9 != 8:
        return packet
    longer: Any = av.Packet(bytes(packet) + b"\0\0\0\1\x48\1")
    longer.pts, longer.dts, longer.time_base = packet.pts, packet.dts, packet.time_base
    longer.is_keyframe = packet.is_keyframe
    return longer


def headless(number: int, packet: Any) -> Any:
    """Without the first packets."""
    return packet if number >= 3 else None


DOUBTFUL = {
    "misled.mp4": changed("open.mp4", "mp4", in_order_of_decoding),
    "joined.ts": changed("hevc.ts", "mpegts", ended),
    "headless.ts": changed("open.ts", "mpegts", headless),
    "headless.mkv": changed("h264.mkv", "matroska", headless),
    "lossy.ts": VIDEOS["open.ts"][: 188 * 60] + VIDEOS["open.ts"][188 * 63 :],
}
VIDEOS |= CUT | DOUBTFUL
ONE_BY_ONE = {
    *("h264.avi", "mpeg4.avi", "vp8.webm"), *(name for name in CUT if not name.endswith("mp4")), *DOUBTFUL
}  # fmt: skip # their packets do not tell which frame is which


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name, content in VIDEOS.items():
        (folder / name).write_bytes(content)
    return folder


@cache
def decodable(path: Path) -> int:
    """How many frames there are."""
    with av.open(path) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.fixture
def every_video_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "LONG", 0)


DEPTHS: tuple[Depth, ...] = ("count", "probe", "decode")


@settings(max_examples=25, deadline=None)
@given(wanted=st.sets(st.floats(0, 1, exclude_max=True), min_size=1, max_size=6))
@pytest.mark.parametrize("name", VIDEOS)
def test_the_frames_are_those_of_decoding_one_by_one(folder: Path, name: str, wanted: set[float]) -> None:
    path = folder / name
    numbers = sorted({int(share * decodable(path)) for share in wanted})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read, "LONG", 1000)
        expected = read_video(path, numbers)
        patch.setattr(read, "LONG", 0)
        assert np.array_equal(np.stack(read_video(path, numbers)), np.stack(expected))


@pytest.mark.parametrize("name", VIDEOS)
def test_videos_whose_packets_tell_their_frames_apart_are_jumped_in(folder: Path, name: str) -> None:
    with av.open(folder / name) as container:
        times = Times.of(container, container.streams.video[0])
    assert (times is None) == (name in ONE_BY_ONE)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("name", CUT)
def test_the_frames_of_a_cut_video_that_do_not_decode_are_not_counted(folder: Path, name: str, depth: Depth) -> None:
    found = probe(str(folder / name), "video", depth)
    assert found.fault is None
    assert found.frames == decodable(folder / name)
    assert (found.stored > found.frames) == (not name.endswith("mp4"))


@pytest.mark.usefixtures("every_video_is_long")
def test_what_lies_between_is_not_decoded(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "ruined.mp4"
    with av.open(folder / "h264.mp4") as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    ruined = bytearray(VIDEOS["h264.mp4"])
    for begin, size in packets[14:63]:
        ruined[begin : begin + size] = bytes(size)
    path.write_bytes(ruined)
    expected = read_video(folder / "h264.mp4", [3, 75])
    assert np.array_equal(np.stack(read_video(path, [3, 75])), np.stack(expected))


@pytest.mark.usefixtures("every_video_is_long")
def test_a_frame_that_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(DatasetError, match="has no frame 80: it is shorter than the table says"):
        read_video(folder / "h264.mp4", [3, 80])


@pytest.mark.usefixtures("every_video_is_long")
def test_a_file_that_was_cut_without_being_encoded_anew_begins_within_a_group(folder: Path, tmp_path: Path) -> None:
    """Its first frames are decoded and not shown, as its edit list says."""
    path = tmp_path / "trimmed.mp4"
    with av.open(folder / "h264.mp4") as source, av.open(path, "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size and packet.pts is not None:
                packet.pts -= 3 * int(1 / (packet.time_base * 25))
                packet.dts -= 3 * int(1 / (packet.time_base * 25))
                packet.stream = stream
                target.mux(packet)
    with av.open(path) as container:
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    for number in (0, 1, 5, len(shown) - 1):
        assert np.array_equal(read_video(path, [number])[0], shown[number])
