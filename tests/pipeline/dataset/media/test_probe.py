"""Probing a clip counts its frames and finds its faults; good clips have none."""

from __future__ import annotations

import io
import os
import shutil
import struct
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from helpers import H264, UNUSABLE, cut, make_unusable_clips, moving_picture, write_clip, write_frames
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from sciu.pipeline.dataset.media.encode import KIND, SUFFIX, encode_clip, encode_jpeg, encode_video
from sciu.pipeline.dataset.media.kinds import is_video
from sciu.pipeline.dataset.media.probe import Depth, Probe, probe
from sciu.pipeline.dataset.media.read import read_video

DEPTHS: tuple[Depth, ...] = ("count", "probe", "decode")


def look(path: Path, kind: str = "video", depth: Depth = "probe") -> Probe:
    return probe(str(path), kind, depth)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("codec", SUFFIX)
def test_our_codecs(tmp_path: Path, codec: str, depth: Depth) -> None:
    path = tmp_path / f"clip{SUFFIX[codec]}"
    write_clip(path, codec, frames=9)
    assert look(path, KIND[codec], depth) == Probe(frames=9, width=48, height=48, codec=codec, stored=9)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_folder_of_frames_and_a_single_image(tmp_path: Path, depth: Depth) -> None:
    write_frames(tmp_path / "clip", moving_picture(11, width=40, height=30))
    assert look(tmp_path / "clip", "frames", depth) == Probe(frames=11, width=40, height=30, codec="jpeg", stored=11)
    assert look(tmp_path / "clip" / "3.jpg", "frames", depth) == Probe(
        frames=1, width=40, height=30, codec="jpeg", stored=1
    )


@pytest.mark.parametrize(
    ("encoder", "container", "options", "pixels"),
    [
        ("libx264", "mov", {}, "yuv420p10le"),
        ("libx264", "matroska", {}, "yuv444p"),
        ("libvpx", "webm", {"auto-alt-ref": "1", "lag-in-frames": "16", "b": "100k"}, "yuv420p"),
        ("mjpeg", "avi", {}, "yuvj422p"),
        ("mpeg4", "avi", {}, "yuv420p"),
        ("libx264", "mp4", {"movflags": "faststart"}, "yuv420p"),
        ("libx264", "mp4", {"movflags": "frag_keyframe+empty_moov"}, "yuv420p"),
        ("libx264", "mpegts", {}, "yuv420p"),
        ("flv", "flv", {}, "yuv420p"),
    ],
)
@pytest.mark.parametrize("depth", DEPTHS)
def test_other_peoples_codecs(
    tmp_path: Path, encoder: str, container: str, options: dict[str, str], pixels: str, depth: Depth
) -> None:
    path = tmp_path / "clip"
    path.write_bytes(encode_video(moving_picture(30, width=96, height=64), encoder, container, options, pixels=pixels))
    found = look(path, depth=depth)
    assert (found.fault, found.frames, found.width, found.height) == (None, 30, 96, 64)


def test_variable_frame_rate_is_counted_not_computed(tmp_path: Path) -> None:
    with av.open(tmp_path / "clip.mkv", "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 48
        for number, frame in enumerate(moving_picture(10)):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts = number**2
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    assert look(tmp_path / "clip.mkv").frames == 10


# ---- faults


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("container", ["webm", "matroska", "avi", "mp4", "mov", "faststart"])
def test_truncated_videos_are_found_without_decoding(tmp_path: Path, container: str, share: float) -> None:
    codec = "libvpx-vp9" if container == "webm" else "mpeg4"
    options = {"movflags": "faststart"} if container == "faststart" else {}
    path = tmp_path / "clip"
    content = encode_video(moving_picture(30), codec, container.replace("faststart", "mp4"), options)
    path.write_bytes(content)
    assert look(path).fault is None
    assert "truncated: its header declares" in str(look(cut(path, share), depth="count").fault)


def test_truncated_packed_frames(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.zip", "jpeg")
    assert "truncated" in str(look(cut(tmp_path / "clip.zip"), "frames", "count").fault)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_truncated_frame_is_named(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    for number, frame in enumerate(moving_picture(4), start=1):
        Image.fromarray(frame).save(folder / f"{number}.{suffix}")
    cut(folder / f"3.{suffix}")
    assert look(folder, "frames", "probe").fault == f"frame 3.{suffix} is truncated: its end marker is missing"
    assert look(folder, "frames", "decode").fault is not None


def test_damage_inside_needs_decoding(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 48, 3)).astype(np.uint8)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[len(content) // 2] ^= 0xFF
    write_frames(tmp_path / "clip", moving_picture(2))
    (tmp_path / "clip" / "3.png").write_bytes(content)
    assert look(tmp_path / "clip", "frames", "probe").fault is None
    assert look(tmp_path / "clip", "frames", "decode").fault is not None


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    ("name", "reason"), [*UNUSABLE.items(), ("nothing.mp4", "is missing"), ("nothing", "is missing")]
)
def test_unusable_clips(tmp_path: Path, name: str, reason: str, depth: Depth) -> None:
    make_unusable_clips(tmp_path)
    kind = "video" if is_video(name) else "frames"
    fault = look(tmp_path / name, kind, depth).fault
    assert fault is not None
    assert reason in fault
    assert "\n" not in fault


def test_a_path_may_hold_anything(tmp_path: Path) -> None:
    name = 'it\'s "quoted", with %20 and 顔.mp4'
    (tmp_path / name).write_bytes(encode_video(moving_picture(5), *H264))
    assert look(tmp_path / name).frames == 5
    shutil.copy(tmp_path / name, tmp_path / "file:odd.mp4")
    assert look(tmp_path / "file:odd.mp4").frames == 5


# ---- clips that only seem bad, and clips that only seem good


def test_a_video_written_to_a_pipe_has_no_size_to_be_believed(tmp_path: Path) -> None:
    content = bytearray(encode_video(moving_picture(9), "mjpeg", "avi", {}, pixels="yuvj420p"))
    content[4:8] = b"\xff\xff\xff\xff"
    (tmp_path / "clip.avi").write_bytes(content)
    assert look(tmp_path / "clip.avi").frames == 9


def test_bytes_behind_the_end_of_a_photo_are_no_fault(tmp_path: Path) -> None:
    write_frames(tmp_path / "clip", moving_picture(2))
    with (tmp_path / "clip" / "1.jpg").open("ab") as file:
        file.write(bytes(10_000))
    assert look(tmp_path / "clip", "frames", "decode").fault is None


def test_a_dangling_frame_is_a_fault_of_the_clip_not_its_absence(tmp_path: Path) -> None:
    write_frames(tmp_path / "clip", moving_picture(2))
    (tmp_path / "clip" / "0.jpg").symlink_to("nowhere")
    assert look(tmp_path / "clip", "frames").fault == "frame 0.jpg cannot be read: No such file or directory"


@pytest.mark.parametrize(("name", "kind"), [("pipe.mp4", "video"), ("pipe.jpg", "frames"), ("pipe.zip", "frames")])
def test_a_pipe_does_not_hang(tmp_path: Path, name: str, kind: str) -> None:
    os.mkfifo(tmp_path / name)
    assert look(tmp_path / name, kind).fault == "is not a regular file"


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    with av.open(tmp_path / "song.mp4", "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 48
        cover.pix_fmt = "yuvj420p"
        cover.disposition = Disposition.attached_pic.value
        container.mux(cover.encode(av.VideoFrame.from_ndarray(moving_picture(1)[0], format="rgb24")))
        container.mux(cover.encode())
    assert look(tmp_path / "song.mp4").fault == "has no video stream"


def test_a_changed_byte_of_packed_frames_fails_its_checksum(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.zip", "jpeg")
    content = bytearray((tmp_path / "clip.zip").read_bytes())
    content[100] ^= 1  # in the first frame's tables: it decodes to other colours
    (tmp_path / "clip.zip").write_bytes(content)
    assert look(tmp_path / "clip.zip", "frames", "decode").fault is not None


WHOLE = {
    "mkv": encode_video(moving_picture(8), "libx264", "matroska", {"preset": "ultrafast"}),
    "webm": encode_clip(moving_picture(8), "vp9"),
    "mp4": encode_clip(moving_picture(8), "mjpeg"),
    "avi": encode_video(moving_picture(8), "mpeg4", "avi", {}),
    "zip": encode_clip(moving_picture(8), "jpeg"),
    "jpg": encode_jpeg(moving_picture(1)[0]),
}


@settings(max_examples=150, deadline=None)
@example(suffix="zip", damage=[(0.9946954982766414, 0)])  # in the directory's end, which only zipfile reads
@given(
    suffix=st.sampled_from(sorted(WHOLE)), damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6)
)
def test_no_damage_is_an_exception(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, damage: list[tuple[float, int]]
) -> None:
    content = bytearray(WHOLE[suffix])
    for place, value in damage:
        content[int(place * (len(content) - 1))] = value
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    path.write_bytes(content)
    found = look(path, "frames" if suffix in ("zip", "jpg") else "video", "decode")
    assert found.fault is not None or found.frames > 0


def test_a_webm_that_lost_its_middle_is_found_at_first_sight(tmp_path: Path) -> None:
    content = bytearray(encode_clip(moving_picture(60), "vp9"))
    content[len(content) // 4 : len(content) // 3] = bytes(len(content) // 3 - len(content) // 4)
    (tmp_path / "clip.webm").write_bytes(content)
    assert "damaged: its frames end at" in str(look(tmp_path / "clip.webm", depth="count").fault)


def cut_without_encoding(content: bytes, container: str, packets: int, *, marked: bool = True) -> bytes:
    """The video without its first packets, as `ffmpeg -c copy` cuts one; or without the marks of its keyframes."""
    out = io.BytesIO()
    with av.open(io.BytesIO(content)) as source, av.open(out, "w", format=container) as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        kept = [packet for packet in source.demux(stream) if packet.dts is not None][packets:]
        begin = kept[0].dts
        for packet in kept:
            packet.pts, packet.dts, packet.stream = packet.pts - begin, packet.dts - begin, copy
            packet.is_keyframe = packet.is_keyframe and marked
            target.mux(packet)
    return out.getvalue()


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    ("encoder", "container"),
    [("libx264", "mp4"), ("libx264", "mpegts"), ("mpeg4", "avi"), ("mpeg2video", "mpegts"), ("libvpx-vp9", "webm")],
)
def test_a_video_cut_at_no_keyframe_is_told(tmp_path: Path, encoder: str, container: str, depth: Depth) -> None:
    """Decoders skip the frames before the first keyframe, or show grey, or refuse them."""
    content = encode_video(moving_picture(30), encoder, container, {"g": "20", "bf": "0"})
    for packets in (0, 20):
        (tmp_path / "clip").write_bytes(cut_without_encoding(content, container, packets))
        assert look(tmp_path / "clip", depth=depth).frames == 30 - packets
    (tmp_path / "clip").write_bytes(cut_without_encoding(content, container, 5))
    assert "no keyframe: its first 15 of 25 frames do not decode" in str(look(tmp_path / "clip", depth=depth).fault)


def test_a_wrong_mark_of_keyframes_is_no_fault(tmp_path: Path) -> None:
    content = encode_video(moving_picture(9), "flv", "flv", {})
    (tmp_path / "clip.flv").write_bytes(cut_without_encoding(content, "flv", 0, marked=False))
    with av.open(tmp_path / "clip.flv") as container:
        assert not any(packet.is_keyframe for packet in container.demux(video=0))
    assert look(tmp_path / "clip.flv") == Probe(frames=9, width=48, height=48, codec="flv", stored=9)


def test_a_stream_without_any_keyframe_is_told(tmp_path: Path) -> None:
    content = encode_video(moving_picture(30), "libx264", "mpegts", {"g": "20", "bf": "0"})
    (tmp_path / "clip.ts").write_bytes(cut_without_encoding(content, "mpegts", 25))
    assert look(tmp_path / "clip.ts").fault == "ends before a frame that can be decoded"


def test_a_video_filmed_sideways_comes_upright(tmp_path: Path) -> None:
    """The matrix in the track header of the file is patched to the quarter turn that phones write."""
    tall = [np.rot90(picture).copy() for picture in moving_picture(6, width=48, height=96)]
    content = bytearray(encode_video(tall, *H264))
    straight = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    header = content.index(straight, content.index(b"tkhd"))
    content[header : header + 36] = turned
    (tmp_path / "clip.mp4").write_bytes(content)
    found = look(tmp_path / "clip.mp4")
    assert (found.width, found.height) == (48, 96)
    (frame,) = read_video(tmp_path / "clip.mp4", [3])
    assert np.abs(frame.astype(int) - moving_picture(6, width=48, height=96)[3]).mean() < 8
