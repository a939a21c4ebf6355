"""Frames come in the order of their numbers."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.dataset.media.kinds import frame_files, is_image, is_video, natural_key


@given(st.lists(st.integers(0, 10**6), unique=True))
def test_numbers_sort_by_value_padded_or_not(numbers: list[int]) -> None:
    names = [f"img_{number}.jpg" for number in numbers]
    assert sorted(names, key=natural_key) == [f"img_{number}.jpg" for number in sorted(numbers)]


def test_names_that_count_alike_still_have_one_order() -> None:
    names = ["01.jpg", "1.jpg", "001.jpg", "1²2.jpg"]
    backwards = names[::-1]
    assert sorted(names, key=natural_key) == sorted(backwards, key=natural_key)


def test_a_folder_gives_its_images_only(tmp_path: Path) -> None:
    for name in ("10.jpg", "2.JPG", "1.png", ".DS_Store", "._1.jpg", "Thumbs.db", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in frame_files(tmp_path)] == ["1.png", "2.JPG", "10.jpg"]


def test_a_single_image_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert frame_files(tmp_path / "a.jpg") == [tmp_path / "a.jpg"]


def test_kinds_by_suffix() -> None:
    assert is_video("a.MP4")
    assert not is_video("._a.mp4")
    assert is_image("a.jpeg")
    assert not is_image("a.mp4")
