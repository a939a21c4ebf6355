"""FERV39k: a split file without a header loses no row, and its variants give the same result."""

from __future__ import annotations

from pathlib import Path

import pytest
from archives import FERV39K_TEST as TEST
from archives import FERV39K_TRAIN as TRAIN
from archives import write_ferv39k as write_tree
from helpers import make_dataset

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.importers import ferv39k


def load(source: Path, media: str = "faces") -> Dataset:
    return make_dataset(ferv39k.read(source, media=media), source.with_name("out"))


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (TRAIN, TEST),
        (
            ["path,id", "Action/Sad/0010,5", "Interview/Happy/0118,3", "Action/Fear/0003,2"],
            ["path,id", "Crime/Angry/0001,0"],
        ),
    ],
    ids=["official, no header", "variant with header and alphabetical ids"],
)
def test_both_formats_give_the_same_dataset(tmp_path: Path, train: list[str], test: list[str]) -> None:
    dataset = load(write_tree(tmp_path / "FERV39k", train, test))
    assert [(dataset.clips.path[k], dataset.clips.label[k], dataset.clips.group[k]) for k in range(4)] == [
        ("2_ClipsforFaceCrop/Action/Fear/0003", "Fear", "Action"),
        ("2_ClipsforFaceCrop/Action/Sad/0010", "Sad", "Action"),
        ("2_ClipsforFaceCrop/Crime/Angry/0001", "Angry", "Crime"),
        ("2_ClipsforFaceCrop/Interview/Happy/0118", "Happy", "Interview"),
    ]
    assert dataset.ids("train").tolist() == [0, 1, 3]
    assert dataset.ids("test").tolist() == [2]
    assert dataset.clips.frames.tolist() == [10, 8, 11, 9]


def test_raw_clips(tmp_path: Path) -> None:
    dataset = load(write_tree(tmp_path / "FERV39k"), media="clips")
    assert dataset.kind == "video"
    assert set(dataset.clips.frames) == {30}


def test_a_label_that_contradicts_its_folder_is_taken_and_told(tmp_path: Path) -> None:
    listing = ferv39k.read(write_tree(tmp_path / "FERV39k", [*TRAIN[:2], "Action/Fear/0003 Sad"]))
    assert listing.clips["2_ClipsforFaceCrop/Action/Fear/0003"].label == "Sad"
    assert listing.notes == [
        "1 labels contradict their clip's folder and were kept: train_All.csv:3 Sad in 'Action/Fear/0003'"
    ]


@pytest.mark.parametrize(
    "row",
    ["Action/Sad/0010 Bored", "Action/Sad/0010,9", "Action/Sad/0010,12", "Action/Sad/0010,²", "Sad", "path,id,more"],
)
def test_a_row_that_is_no_row(tmp_path: Path, row: str) -> None:
    with pytest.raises(DatasetError, match="train_All.csv:4: a row must be .* but is"):
        ferv39k.read(write_tree(tmp_path / "FERV39k", [*TRAIN, row]))


def test_line_ends_of_an_old_macintosh(tmp_path: Path) -> None:
    source = write_tree(tmp_path / "FERV39k")
    (source / "4_setups/All_scenes/train_All.csv").write_bytes("\r".join(TRAIN).encode())
    assert len(load(source)) == 4


def test_a_clip_in_both_splits_is_a_leak(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="in both train and test of fold 1 .*leak"):
        ferv39k.read(write_tree(tmp_path / "FERV39k", [*TRAIN, *TEST]))
