"""Which clips a path on a command line means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.importers.loose import clips_in


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_folder_with_images_is_a_clip_and_one_without_holds_clips(tmp_path: Path) -> None:
    touch(tmp_path / "frames" / "2.jpg", tmp_path / "frames" / "10.jpg", tmp_path / "a" / "10.mp4")
    touch(
        tmp_path / "a" / "2.mp4", tmp_path / "a" / "packed.zip", tmp_path / "a" / "notes.txt", tmp_path / ".x" / "1.jpg"
    )
    found = [str(path.relative_to(tmp_path)) for path in clips_in([tmp_path])]
    assert found == ["a/2.mp4", "a/10.mp4", "a/packed.zip", "frames"]
    assert list(clips_in([tmp_path / "frames"])) == [tmp_path / "frames"]


def test_a_file_is_taken_as_a_clip_whatever_it_is_so_that_its_fault_is_said(tmp_path: Path) -> None:
    touch(tmp_path / "notes.txt")
    named = [tmp_path / "notes.txt", tmp_path / "missing.mp4"]
    assert list(clips_in(named)) == named


def test_a_folder_of_nothing_is_taken_as_a_clip_so_that_it_costs_only_itself(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "notes.txt", tmp_path / "b" / "1.mp4")
    assert list(clips_in([tmp_path / "a", tmp_path / "b"])) == [tmp_path / "a", tmp_path / "b" / "1.mp4"]


def test_a_picture_among_videos_does_not_make_them_one_clip(tmp_path: Path) -> None:
    touch(tmp_path / "1.mp4", tmp_path / "poster.jpg")
    with pytest.raises(DatasetError, match=r"must be a clip of images or hold videos, but has both, 'poster.jpg' and"):
        list(clips_in([tmp_path]))


def test_links_to_folders_are_not_followed_within_a_folder(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "1.mp4")
    os.symlink(tmp_path, tmp_path / "a" / "back")  # noqa: PTH211
    assert list(clips_in([tmp_path])) == [tmp_path / "a" / "1.mp4"]
