"""A tree of split/class/clip, with videos, folders of frames and single images."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import make_dataset, moving_picture, write_clip, write_frames

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.importers import folder
from sciu.pipeline.dataset.media.encode import encode_jpeg


def load(source: Path) -> Dataset:
    return make_dataset(folder.read(source), source.with_name("out"))


def test_all_kinds_of_clips(tmp_path: Path) -> None:
    source = tmp_path / "src"
    write_clip(source / "train/happy/video.mp4", "h264")
    write_clip(source / "train/happy/packed.zip", "jpeg", frames=7)
    write_frames(source / "train/very sad/frames", moving_picture(5))
    (source / "valid/happy").mkdir(parents=True)
    (source / "valid/happy/still.JPG").write_bytes(encode_jpeg(moving_picture(1)[0]))
    for dropping in ("train/.DS_Store", "train/happy/._video.mp4", "train/happy/Thumbs.db"):
        (source / dropping).write_bytes(b"x")
    dataset = load(source)
    found = {
        path: (dataset.clips.label[k], dataset.splits()[k], dataset.clips.frames[k])
        for k, path in enumerate(dataset.clips.path)
    }
    assert found == {
        "train/happy/video.mp4": ("happy", "train", 12),
        "train/happy/packed.zip": ("happy", "train", 7),
        "train/very sad/frames": ("very sad", "train", 5),
        "valid/happy/still.JPG": ("happy", "val", 1),
    }


def test_a_folder_named_like_a_video_is_quarantined(tmp_path: Path) -> None:
    write_clip(tmp_path / "src/train/happy/good.mp4", "h264")
    write_frames(tmp_path / "src/train/happy/bad.mp4", moving_picture(3))
    dataset = load(tmp_path / "src")
    assert dataset.clips.quarantine[0] == "is a folder, not a video file"
    assert dataset.ids("train").tolist() == [1]


def test_files_that_are_no_clips_are_told(tmp_path: Path) -> None:
    write_clip(tmp_path / "src/train/happy/good.mp4", "h264")
    (tmp_path / "src/train/happy/notes.txt").touch()
    assert folder.read(tmp_path / "src").notes == [
        "1 files are neither video nor image and were left out: train/happy/notes.txt"
    ]


def test_a_link_in_a_circle_costs_itself(tmp_path: Path) -> None:
    write_clip(tmp_path / "src/train/happy/good.mp4", "h264")
    (tmp_path / "src/train/happy/loop").symlink_to("loop")
    (tmp_path / "src/train/sad").mkdir()
    dataset = load(tmp_path / "src")
    assert dataset.clips.quarantine[1] == "Too many levels of symbolic links"
    assert folder.read(tmp_path / "src").notes == ["class folders without a clip were left out: sad"]


# ---- links


def test_links_inside_the_source_are_followed(tmp_path: Path) -> None:
    write_clip(tmp_path / "src/train/happy/good.mp4", "h264")
    write_frames(tmp_path / "src/train/happy/frames", moving_picture(3))
    (tmp_path / "src/train/happy/same.mp4").symlink_to("good.mp4")
    (tmp_path / "src/train/happy/frames/9.jpg").symlink_to("1.jpg")
    (tmp_path / "src/test").symlink_to(tmp_path / "src/train")
    (tmp_path / "link").symlink_to("src")
    listing = folder.read(tmp_path / "link")
    assert len(listing.clips) == 6
    assert listing.notes == []


def test_links_that_lead_out_of_the_source_are_not_followed(tmp_path: Path) -> None:
    write_clip(tmp_path / "src/train/happy/good.mp4", "h264")
    write_clip(tmp_path / "src-2/secret.mp4", "h264")
    for name in ("clip", "frames"):
        write_frames(tmp_path / "src/train/happy" / name, moving_picture(2))
    (tmp_path / "src/train/happy/frames/3.jpg").symlink_to(tmp_path / "src-2/secret.jpg")
    (tmp_path / "src/train/happy/a.mp4").symlink_to("../../../src-2/secret.mp4")
    (tmp_path / "src/train/sad").symlink_to(tmp_path / "src-2")
    (tmp_path / "src/test").symlink_to("..")
    listing = folder.read(tmp_path / "src")
    assert list(listing.clips) == ["train/happy/clip", "train/happy/good.mp4"]
    (note,) = listing.notes
    assert note.startswith("4 clips or folders are links that lead out of the source, or have some, and were not")
    assert all(name in note for name in ("test", "train/sad", "train/happy/a.mp4", "train/happy/frames", "import csv"))


@pytest.mark.parametrize("link", ["train", "train/happy", "train/happy/a.mp4"])
def test_a_source_of_links_is_told_what_takes_them(tmp_path: Path, link: str) -> None:
    write_clip(tmp_path / "elsewhere" / "happy/a.mp4", "h264")
    place = tmp_path / "src" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "elsewhere" / link.removeprefix("train").removeprefix("/"))
    with pytest.raises(DatasetError, match="lead out of the source.* `sciu-data import csv` takes clips from anywhere"):
        load(tmp_path / "src")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ([], "must hold train/, test/ or val/, but has no folders"),
        (["happy/a.mp4"], r"must hold train/, test/ or val/, but has happy\. If these are the classes, --test 0\.2"),
        (["train/happy/a.mp4", "sad/a.mp4"], "split must be one of .*, but is 'sad'"),
        (["train/a.mp4"], "must hold a folder for every class, but has no folders"),
    ],
)
def test_another_layout_is_told(tmp_path: Path, tree: list[str], message: str) -> None:
    for name in tree:
        write_clip(tmp_path / name, "h264")
    with pytest.raises(DatasetError, match=message):
        folder.read(tmp_path)


def test_a_tree_without_splits_is_read_if_they_are_to_be_drawn(tmp_path: Path) -> None:
    write_clip(tmp_path / "happy/a.mp4", "h264")
    write_frames(tmp_path / "sad/b", moving_picture(3))
    clips = folder.read(tmp_path, unsplit=True).clips
    assert {path: (clip.label, clip.kind, clip.splits) for path, clip in clips.items()} == {
        "happy/a.mp4": ("happy", "video", {1: "train"}), "sad/b": ("sad", "frames", {1: "train"}),
    }  # fmt: skip


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read: No such file or directory"):
        folder.read(tmp_path / "nowhere")
