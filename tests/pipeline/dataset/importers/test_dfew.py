"""DFEW as unpacked from its archives, and in the layouts of its copies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from archives import DFEW_LABELS as LABELS
from archives import DFEW_SPELLINGS as SPELLINGS
from archives import write_dfew as write_tree
from helpers import Answer, make_dataset, moving_picture, write_clip, write_frames

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.importers import dfew
from sciu.pipeline.dataset.splits.summary import class_counts


def load(source: Path, media: str = "faces") -> Dataset:
    listing = dfew.read(source, media=media)
    return make_dataset(listing, source.with_name("out"))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_gives_the_same_dataset(tmp_path: Path, spelling: str, base: int, padded: bool) -> None:
    dataset = load(write_tree(tmp_path / "DFEW", spelling=spelling, base=base, padded=padded))
    assert dataset.folds == 5
    assert dataset.classes == ("Happy", "Sad", "Neutral", "Angry", "Surprise", "Disgust", "Fear")
    names = {int(Path(path).name): dataset.clips.label[clip] for clip, path in enumerate(dataset.clips.path)}
    assert names == {video: dataset.classes[label - 1] for video, label in LABELS.items()}
    assert set(dataset.clips.frames) == {11}
    tested = [dataset.clips.path[int(clip)] for fold in range(1, 6) for clip in dataset.ids("test", fold)]
    assert [int(Path(path).name) for path in tested] == list(LABELS)[:5]
    assert all(len(dataset.ids("train", fold)) == 6 for fold in range(1, 6))


def test_a_copy_that_counts_from_0_says_so(tmp_path: Path) -> None:
    assert any("start at 0" in note for note in dfew.read(write_tree(tmp_path / "DFEW", base=0)).notes)
    assert dfew.read(write_tree(tmp_path / "other")).notes == []


def test_codes_of_two_bases_are_refused(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "DFEW")
    path = source / SPELLINGS[0].format(split="test", fold=5)
    path.write_text("video_name,label\n4000,0\n")
    with pytest.raises(DatasetError, match="set_5.csv:2: label codes must be .*, but 0 and 7 both occur"):
        dfew.read(source)


def test_clips_without_frames_on_disk_are_counted_and_never_fed(tmp_path: Path, sciu: Callable[..., Answer]) -> None:
    source = write_tree(tmp_path / "DFEW")
    for video in (10, 7):
        folder = source / "Clip/clip_224x224" / f"{video:05d}"
        for frame in folder.iterdir():
            frame.unlink()
        folder.rmdir()
    answer = sciu("data", "import", "dfew", source, "--out", tmp_path / "out")
    assert answer.code == 0
    assert "2 of 7 listed clips are missing" in answer.out
    dataset = Dataset.load(tmp_path / "out")
    assert len(dataset) == 7
    assert len(dataset.ids("train")) + len(dataset.ids("test")) == 5


def test_published_counts_stand_beside_ours(tmp_path: Path, sciu: Callable[..., Answer]) -> None:
    answer = sciu("data", "import", "dfew", write_tree(tmp_path / "DFEW"), "--out", tmp_path / "out", "--json")
    rows = {(row["fold"], row["split"], row["class"]): row for row in answer.json["published"]}
    assert rows[5, "test", None] == {"fold": 5, "split": "test", "class": None, "here": 1, "published": 2336}
    assert rows[1, "train", "Happy"]["published"] == 1956
    assert sum(row["published"] for row in rows.values() if row["split"] == "test") == 11697


@pytest.mark.parametrize(
    ("media", "folder", "suffix"), [("faces16", "clip_224x224_16f", ""), ("clips", "original", ".mp4")]
)
def test_other_media(tmp_path: Path, media: str, folder: str, suffix: str) -> None:
    source = write_tree(tmp_path / "DFEW")
    for video in LABELS:
        path = source / "Clip" / folder / f"{video:05d}{suffix}"
        if suffix:
            write_clip(path, "h264", frames=20)
        else:
            write_frames(path, moving_picture(16))  # 1.jpg ... 16.jpg, not padded
    dataset = load(source, media)
    assert not dataset.quarantined.any()
    assert set(dataset.clips.frames) == {20 if suffix else 16}
    assert class_counts(dataset, 1)["train"]["Happy"] == 0


def test_a_wrong_folder_says_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "Videos").mkdir()
    with pytest.raises(DatasetError, match=r"must hold 'Clip/clip_224x224', .* but has \['Videos'\]"):
        dfew.read(tmp_path)
    (tmp_path / "Clip/clip_224x224").mkdir(parents=True)
    with pytest.raises(DatasetError, match="no split files"):
        dfew.read(tmp_path)


def test_what_lies_beside_the_clips_is_passed_over(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "DFEW")
    for video in LABELS:
        write_clip(source / "Clip/original" / f"{video:05d}.mp4", "h264")
    for name in ("00001.txt", "00002.mp4.part", "².mp4", "._00007.mp4"):
        (source / "Clip/original" / name).touch()
    (source / "Clip/original/00010").mkdir()
    (source / "EmoLabel_DataSplit/train(single-labeled)/._set_1.csv").touch()
    assert not load(source, "clips").quarantined.any()


def test_a_clip_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "DFEW")
    write_frames(source / "Clip/clip_224x224" / "1", moving_picture(2))
    with pytest.raises(DatasetError, match="holds clip 1 twice"):
        dfew.read(source)


def test_a_missing_split_file_is_told(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "DFEW")
    (source / "EmoLabel_DataSplit/test(single-labeled)/set_3.csv").unlink()
    assert dfew.read(source).notes == ["no file lists a clip for test of fold 3"]


def test_two_files_for_one_fold_are_refused(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "DFEW")
    write_tree(tmp_path / "copy", spelling=SPELLINGS[3])
    (tmp_path / "copy/label").rename(source / "label")
    with pytest.raises(DatasetError, match="two files list .* Remove one"):
        dfew.read(source)
