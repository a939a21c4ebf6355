"""What a video file says of its own size is read from its headers: a whole one says what it has, a cut one more."""

from __future__ import annotations

import io
import re
from pathlib import Path

import av
import pytest
from helpers import moving_picture
from hypothesis import assume, given
from hypothesis import strategies as st

from sciu.pipeline.dataset import DatasetError
from sciu.pipeline.dataset.media import containers
from sciu.pipeline.dataset.media.containers import actual_size, declared_size, open_video
from sciu.pipeline.dataset.media.encode import encode_clip, encode_jpeg, encode_video
from sciu.pipeline.dataset.media.probe import Depth, probe
from sciu.pipeline.dataset.media.read import read_video
from sciu.tools.review.transcode import Source, transcode

PICTURES = moving_picture(8, 32, 32)
SIZED = {
    "avi": encode_video(PICTURES, "mpeg4", "avi", {}),
    "mp4": encode_video(PICTURES, "mpeg4", "mp4", {}),
    "mp4 of JPEGs": encode_clip(PICTURES, "mjpeg"),
    "mp4 with its index first": encode_video(PICTURES, "mpeg4", "mp4", {"movflags": "faststart"}),
    "mp4 in fragments": encode_video(PICTURES, "mpeg4", "mp4", {"movflags": "frag_keyframe+empty_moov"}),
    "mov": encode_video(PICTURES, "mpeg4", "mov", {}),
    "mkv": encode_video(PICTURES, "mpeg4", "matroska", {}),
    "webm": encode_clip(PICTURES, "vp9"),
}
UNSIZED = {
    "nothing": b"",
    "a byte": b"R",
    "junk": b"this is no video" * 10,
    "mpegts": encode_video(PICTURES, "mpeg2video", "mpegts", {}),
    "flv": encode_video(PICTURES, "flv", "flv", {}),
    "zip": encode_clip(PICTURES, "jpeg"),
    "jpeg": encode_jpeg(PICTURES[0]),
}
MP4S = [name for name in SIZED if name.startswith("m") and name != "mkv"]
EBML, SEGMENT, LIVE = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x01" + b"\xff" * 7  # a size that nobody knew


def declared(content: bytes) -> int:
    return declared_size(io.BytesIO(content))


def box(kind: bytes, content: bytes = b"", size: int | None = None) -> bytes:
    return (8 + len(content) if size is None else size).to_bytes(4, "big") + kind + content


def borders(content: bytes) -> list[int]:
    """Where the boxes of an MP4 file begin, and the end."""
    found = [0]
    while found[-1] < len(content):
        found.append(found[-1] + int.from_bytes(content[found[-1] : found[-1] + 4], "big"))
    return found


# ---- files as they are written


@pytest.mark.parametrize("name", list(SIZED))
def test_a_whole_file_says_how_large_it_is(name: str) -> None:
    assert declared(SIZED[name]) == len(SIZED[name]) == actual_size(io.BytesIO(SIZED[name]))


@pytest.mark.parametrize("name", list(UNSIZED))
def test_other_files_say_nothing(name: str) -> None:
    assert declared(UNSIZED[name]) == 0
    assert actual_size(io.BytesIO(UNSIZED[name])) == len(UNSIZED[name])


@pytest.mark.parametrize("name", ["avi", "mkv", "webm"])
def test_a_file_with_one_size_in_its_head_shows_every_cut(name: str) -> None:
    content = SIZED[name]
    assert {declared(content[:end]) for end in range(64, len(content))} == {len(content)}


@pytest.mark.parametrize("name", MP4S)
def test_an_mp4_shows_every_cut_within_its_boxes(name: str) -> None:
    """Not one that leaves whole boxes, or less than a header of the next one."""
    content = SIZED[name]
    starts = borders(content)
    assert starts[-1] == len(content)
    for end in range(8, len(content)):
        begun = max(start for start in starts if start <= end)
        assert (declared(content[:end]) > end) == (end - begun >= 8), end


@pytest.mark.parametrize("name", list(SIZED))
def test_bytes_behind_the_end_are_no_cut(name: str) -> None:
    assert declared(SIZED[name] + b"\xff" * 100) <= len(SIZED[name])


@pytest.mark.parametrize("name", list(SIZED))
def test_it_does_not_matter_where_the_file_was_read_to(name: str, tmp_path: Path) -> None:
    (tmp_path / "clip").write_bytes(SIZED[name])
    with (tmp_path / "clip").open("rb") as file:
        file.seek(11)
        assert actual_size(file) == len(SIZED[name])
        assert declared_size(file) == len(SIZED[name])
        assert declared_size(file) == len(SIZED[name])


# ---- headers by hand


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_an_avi_written_to_a_pipe_does_not_know_its_size(size: int) -> None:
    content = bytearray(SIZED["avi"])
    content[4:8] = size.to_bytes(4, "little")
    assert declared(bytes(content)) == 0


def test_an_avi_of_several_gigabytes_says_the_size_of_its_first_part() -> None:
    """More parts follow it."""
    assert declared(SIZED["avi"] * 2) == len(SIZED["avi"])


def test_a_box_that_reaches_to_the_end_has_no_size() -> None:
    assert declared(box(b"ftyp", bytes(8)) + box(b"mdat", bytes(100), size=0)) == 0


def test_a_box_may_have_a_size_of_64_bits() -> None:
    def large(size: int) -> bytes:
        return box(b"ftyp", bytes(8)) + box(b"mdat", size.to_bytes(8, "big") + bytes(100), size=1)

    assert declared(large(116)) == len(large(116)) == 132
    assert declared(large(5 << 32)) == 16 + (5 << 32)
    assert declared(large(7)) == 0, "smaller than its own header"


@pytest.mark.parametrize("size", range(2, 8))
def test_a_box_smaller_than_its_header_is_junk(size: int) -> None:
    """Even where another one seems to begin within its header."""
    assert declared(box(b"ftyp", bytes(8)) + box(b"moov", bytes(max(size - 4, 0)) + b"mdat" * 9, size=size)) == 0


def test_boxes_that_nobody_knows_are_not_believed() -> None:
    assert declared(box(b"ftyp", bytes(8)) + box(b"junk", size=10**9)) == 0


@pytest.mark.parametrize(
    ("after", "size"),
    [
        (b"\x81x" + SEGMENT + b"\x83abc", 14),
        (b"\x40\x01x" + SEGMENT + b"\x40\x03abc", 16),  # numbers of two bytes
        (b"\x80" + SEGMENT + b"\x08" + (1 << 30).to_bytes(4, "big"), 14 + (1 << 30)),
        (b"\x80" + SEGMENT + LIVE, 0),
        (b"\x80" + SEGMENT + b"\xff", 0),
        (b"\xff" + SEGMENT + b"\x83abc", 0),
        (b"\x80" + b"\xec\x81x\x00" + b"\x83abc", 0),  # something else in the place of the segment
        (b"\x80" + SEGMENT, 0),
        (b"\x00", 0),
        (b"", 0),
    ],
)
def test_a_matroska_file_has_the_size_of_its_segment(after: bytes, size: int) -> None:
    assert declared(EBML + after) == size


def test_a_header_longer_than_any_file_is_a_truncated_file(tmp_path: Path) -> None:
    """No file system seeks to where it ends."""
    (tmp_path / "clip").write_bytes(EBML + b"\x01" + b"\xff" * 6 + b"\xfe" + bytes(40))
    with (tmp_path / "clip").open("rb") as file:
        assert declared_size(file) == 12 + (1 << 56) - 2
    fault = probe(str(tmp_path / "clip"), "video", "count").fault
    assert fault == "truncated: its header declares 72057594037927946 bytes, but the file has 52"


@given(st.integers(0, 20), st.integers(1, 8), st.data())
def test_any_size_of_a_segment_is_read(header: int, length: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, (1 << 7 * length) - 2))
    number = (size | 1 << 7 * length).to_bytes(length, "big")
    assert declared(EBML + bytes([0x80 | header]) + bytes(header) + SEGMENT + number) == 9 + header + length + size


# ---- anything


HEADS = st.sampled_from([b"", b"RIFF", EBML, EBML + b"\x80" + SEGMENT, b"\0\0\0\x10ftyp", b"\0\0\0\1mdat"])


@given(HEADS, st.binary(max_size=80))
def test_anything_may_come(head: bytes, rest: bytes) -> None:
    assert declared(head + rest) >= 0


@given(st.sampled_from(sorted(SIZED)), st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=4))
def test_damage_to_the_head_is_no_exception(name: str, damage: list[tuple[int, int]]) -> None:
    content = bytearray(SIZED[name])
    for place, value in damage:
        content[place] = value
    assert declared(bytes(content)) >= 0


@given(st.lists(st.tuples(st.sampled_from([b"ftyp", b"moov", b"mdat", b"free", b"moof"]), st.integers(0, 40))))
def test_boxes_add_up(kinds: list[tuple[bytes, int]]) -> None:
    content = b"".join(box(kind, bytes(length)) for kind, length in kinds)
    assume(content)
    assert declared(content) == len(content)


# ---- playlists

DEPTHS: tuple[Depth, ...] = ("count", "probe", "decode")
OWN_CLIPS = [
    "tools/benchmarks/peers/codec.py",
    "tools/benchmarks/peers/pyav_clips.py",
    "tools/doctor/decoder_table.py",
]  # rivals, and a clip of ours
PLAYLIST = "is a playlist, which names other files: a video must hold its frames itself"


@pytest.fixture(params=["ffconcat.mp4", "m3u8.m3u8", "sdp.mp4"])
def playlist(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file in the media folder that names a video outside of it."""
    outside, media = tmp_path / "outside", tmp_path / "media"
    outside.mkdir()
    media.mkdir()
    (outside / "video.ts").write_bytes(UNSIZED["mpegts"])
    (media / "link.ts").symlink_to(outside / "video.ts")
    text = {
        "ffconcat.mp4": "ffconcat version 1.0\nfile link.ts\n",
        "m3u8.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{outside}/video.ts\n#EXT-X-ENDLIST\n",
        "sdp.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    }
    (media / request.param).write_text(text[request.param])
    return media / request.param


def test_a_playlist_is_a_fault_and_no_way_out_of_the_media_folder(playlist: Path) -> None:
    for depth in DEPTHS:
        assert probe(str(playlist), "video", depth).fault == PLAYLIST
    with pytest.raises(DatasetError, match=PLAYLIST):
        read_video(playlist, [0])
    assert transcode(Source(playlist.parent, playlist, "video", 8)).note == PLAYLIST


def test_ffmpeg_itself_would_follow_a_playlist(playlist: Path) -> None:
    if playlist.name == "sdp.mp4":
        pytest.skip("it names a port, and FFmpeg would wait for it")
    with av.open(playlist) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(PICTURES)


def test_a_playlist_in_memory_is_refused(playlist: Path) -> None:
    if playlist.suffix == ".m3u8":
        pytest.skip("FFmpeg knows this kind by the name of its file")
    with pytest.raises(DatasetError, match=PLAYLIST):
        open_video(io.BytesIO(playlist.read_bytes()))


def test_a_name_is_that_of_a_file_and_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.ts", "concat:a.ts|a.ts"):
        Path(name).write_bytes(UNSIZED["mpegts"])
    with av.open("concat:a.ts|a.ts") as container:
        assert sum(packet.size > 0 for packet in container.demux(video=0)) == 2 * len(PICTURES)
    assert probe("concat:a.ts|a.ts", "video", "probe").frames == len(PICTURES)


@pytest.mark.parametrize("name", [*SIZED, "mpegts", "flv"])
def test_every_other_container_is_opened(name: str) -> None:
    with open_video(io.BytesIO((SIZED | UNSIZED)[name])) as container:
        assert container.streams.video


def test_videos_are_opened_in_one_place() -> None:
    """Another reader would follow playlists; `av.open` with "w" writes."""
    package = Path(containers.__file__).parents[3]
    readers = [
        path.relative_to(package).as_posix()
        for room in ("pipeline", "purification", "tools")
        for path in sorted((package / room).rglob("*.py"))
        if re.search(r"av\.open\((?![^)\n]*\"w\")", path.read_text())
    ]
    assert readers == ["pipeline/dataset/media/containers.py", *OWN_CLIPS]
