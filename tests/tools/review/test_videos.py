"""A clip of any kind becomes a small video; what cannot be shown says why, and costs nobody else."""

from __future__ import annotations

import io
import shutil
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from urllib.parse import unquote

import av
import numpy as np
import pytest
from helpers import H264, UNUSABLE, cut, make_unusable_clips, moving_picture, write_clip, write_frames
from numpy.typing import NDArray
from reviewing import crash_or_draw, hang, reviewed, thousand_bytes
from shared import copy_of

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.media.encode import CODECS, SUFFIX, encode_clip, encode_video
from sciu.tools.review.transcode import Source, Video, transcode
from sciu.tools.review.videos import Videos


def drawn(root: Path, path: Path, kind: str = "video", frames: int = 12) -> Video:
    return transcode(Source(root, path, kind, frames))


def played(video: Video) -> tuple[list[NDArray[np.uint8]], Fraction]:
    with av.open(io.BytesIO(video.content)) as container:
        stream = container.streams.video[0]
        assert (container.format.name, stream.codec_context.name) == ("matroska,webm", "vp9")
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)], Fraction(
            stream.average_rate or 0
        )


# ---- one clip


@pytest.mark.parametrize("codec", [*CODECS, "folder"])
def test_every_kind_of_clip_becomes_the_same_video(tmp_path: Path, codec: str) -> None:
    pictures = moving_picture()
    path = tmp_path / "clip"
    if codec == "folder":
        write_frames(path, pictures)
    else:
        path = path.with_suffix(SUFFIX[codec])
        path.write_bytes(encode_clip(pictures, codec))
    video = drawn(tmp_path, path, "frames" if codec in ("jpeg", "folder") else "video")
    frames, rate = played(video)
    assert (len(frames), float(rate), video.note) == (12, 25.0, "")
    assert np.abs(np.array(frames, float) - np.array(pictures, float)).mean() < 6


@pytest.mark.parametrize(
    ("size", "expected"), [((1280, 720), (384, 216)), ((101, 401), (96, 384)), ((33, 17), (32, 16)), ((1, 1), (2, 2))]
)
def test_a_video_is_small_even_and_keeps_its_shape(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    width, height = size
    write_frames(tmp_path / "clip", moving_picture(2, width=width, height=height))
    frames, _ = played(drawn(tmp_path, tmp_path / "clip", "frames", 2))
    assert frames[0].shape[1::-1] == expected


def test_frames_of_different_sizes_are_one_video(tmp_path: Path) -> None:
    pictures = [moving_picture(1, width=w, height=h)[0] for w, h in ((64, 48), (48, 64), (200, 100))]
    write_frames(tmp_path / "clip", pictures)
    frames, _ = played(drawn(tmp_path, tmp_path / "clip", "frames", 3))
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 3


@pytest.mark.parametrize(("rate", "expected"), [(50, 50), (Fraction(30000, 1001), Fraction(30000, 1001)), (1000, 25)])
def test_a_video_is_as_fast_as_its_clip(tmp_path: Path, rate: Fraction | int, expected: Fraction | int) -> None:
    (tmp_path / "clip.mp4").write_bytes(encode_video(moving_picture(), *H264, rate=rate))
    _, found = played(drawn(tmp_path, tmp_path / "clip.mp4"))
    assert float(found) == pytest.approx(float(expected), rel=0.02)  # times in WebM are whole milliseconds


def test_a_long_clip_shows_how_it_begins_and_says_so(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", frames=300)
    video = drawn(tmp_path, tmp_path / "clip.mp4", frames=300)
    assert (len(played(video)[0]), video.note) == (250, "the first 250 of 300 frames")


@pytest.mark.parametrize("name", sorted(UNUSABLE))
def test_what_cannot_be_shown_says_why(tmp_path: Path, name: str) -> None:
    make_unusable_clips(tmp_path)
    kind = "video" if Path(name).suffix in (".mp4", ".avi", ".mkv") else "frames"
    video = drawn(tmp_path, tmp_path / name, kind)
    assert not video.content
    assert video.note
    assert "\n" not in video.note
    assert str(tmp_path) not in video.note


def test_what_is_gone_or_empty_says_so(tmp_path: Path) -> None:
    assert drawn(tmp_path, tmp_path / "gone.mp4").note == "is missing"
    assert drawn(tmp_path, tmp_path / "gone", "frames").note == "is missing"
    write_clip(tmp_path / "clip.mp4")
    assert drawn(tmp_path, tmp_path / "clip.mp4", frames=0).note == "has no frames"


def test_a_damaged_clip_shows_what_there_is_before_the_damage(tmp_path: Path) -> None:
    (tmp_path / "clip.mkv").write_bytes(encode_video(moving_picture(), "mpeg4", "matroska", {}))
    video = drawn(tmp_path, cut(tmp_path / "clip.mkv"))
    there = len(played(video)[0])
    assert 0 < there < 12
    assert video.note.startswith(f"{there} of 12 frames, because the file ")
    write_frames(tmp_path / "frames", moving_picture())
    (tmp_path / "frames/5.jpg").write_bytes(b"junk")
    video = drawn(tmp_path, tmp_path / "frames", "frames")
    assert len(played(video)[0]) == 4
    assert video.note == "4 of 12 frames, because the file is not an image file, despite its name"


# ---- nothing outside the dataset's media


def link(path: Path, target: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


@pytest.mark.parametrize(
    "place",
    [
        lambda media, secret: media / "../secret.mp4",
        lambda media, secret: media / str(secret),
        lambda media, secret: link(media / "link.mp4", secret),
        lambda media, secret: link(media / "folder", secret.parent) / "secret.mp4",
        lambda media, secret: link(media / "a/b", Path("../..")) / "secret.mp4",
    ],
    ids=["..", "absolute", "link", "linked folder", "relative link"],
)
def test_a_path_that_leads_out_of_the_media_is_not_shown(tmp_path: Path, place: Callable[[Path, Path], Path]) -> None:
    write_clip(tmp_path / "secret.mp4")
    (tmp_path / "media").mkdir()
    video = drawn(tmp_path / "media", place(tmp_path / "media", tmp_path / "secret.mp4"))
    assert (video.content, video.note) == (b"", f"lies outside the media folder of the dataset, '{tmp_path}/media'")


def test_a_frame_that_leads_out_of_the_media_is_not_shown(tmp_path: Path) -> None:
    write_frames(tmp_path / "media/clip", moving_picture(2))
    link(tmp_path / "media/clip/3.jpg", tmp_path / "media/clip/1.jpg")
    assert drawn(tmp_path / "media", tmp_path / "media/clip", "frames", 3).content
    (tmp_path / "secret.jpg").write_bytes((tmp_path / "media/clip/1.jpg").read_bytes())
    link(tmp_path / "media/clip/4.jpg", tmp_path / "secret.jpg")
    assert not drawn(tmp_path / "media", tmp_path / "media/clip", "frames", 3).content


def test_media_behind_a_link_are_inside(tmp_path: Path) -> None:
    write_clip(tmp_path / "disk/clip.mp4")
    media = link(tmp_path / "media", tmp_path / "disk")
    assert drawn(media, media / "clip.mp4").content


# ---- the videos of a dataset


def test_a_crashing_decoder_costs_its_clip(faces: Dataset) -> None:
    with Videos(faces, make=crash_or_draw) as videos:
        found = [videos.get(clip) for clip in range(4)]
        assert [bool(video.content) for video in found] == [True, True, False, True]
        assert found[2].note == "This clip cannot be shown: its file crashes its decoder."


def test_a_video_that_many_ask_for_is_made_once_and_kept_within_bounds(faces: Dataset) -> None:
    with Videos(faces, kept=3000, make=thousand_bytes) as videos:
        found: list[Video] = []
        threads = [threading.Thread(target=lambda: found.append(videos.get(0))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({video.content for video in found}) == 1
        first = {clip: videos.get(clip).content for clip in (1, 2)}
        assert videos.get(0) == found[0]
        videos.get(3)  # the one that was asked for longest ago is forgotten for it
        assert videos.get(2).content == first[2]
        assert videos.get(1).content != first[1]


def test_a_decoder_that_hangs_does_not_keep_the_server_alive(faces: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sciu.tools.review.videos._PATIENCE", 0.1)
    videos = Videos(faces, make=hang)
    asking = threading.Thread(target=videos.get, args=(0,))
    asking.start()
    while not videos._coming:
        time.sleep(0.01)
    videos.close()
    asking.join(timeout=30)
    assert not asking.is_alive()


def test_the_page_gets_the_video_or_the_reason(finished_run: Path, frame_faces: Dataset, tmp_path: Path) -> None:
    data = Path(shutil.copytree(frame_faces.folder, tmp_path / "faces"))
    run = copy_of(finished_run, tmp_path / "run")
    with reviewed(run, data) as page:
        first, second = page.queue(kind="all", count=2)["clips"]
        shutil.rmtree(Dataset.load(data).path(second))
        shown = page.send("GET", f"/clips/{first}/video")
        assert (shown.status, shown.kind) == (200, "video/webm")
        assert len(played(Video(shown.content))[0]) == 12
        lost = page.send("GET", f"/clips/{second}/video")
        assert (lost.status, lost.content) == (204, b"")
        assert unquote(lost.headers["Sciu-Note"]) == "This clip cannot be shown: its file is missing."
        assert page.pin(second, "drop")["pin"]["action"] == "drop"
