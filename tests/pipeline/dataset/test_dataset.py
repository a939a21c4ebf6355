"""A dataset folder: what it returns, and what it refuses."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shared import copy_of

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.table import Categories
from sciu.pipeline.errors import SettingError


def test_ids_of_a_split_leave_out_the_quarantined(faces: Dataset) -> None:
    train = faces.ids("train")
    assert np.array_equal(np.union1d(train, faces.ids("test")), np.arange(len(faces)))
    reasons: list[str | None] = [None] * len(faces)
    reasons[int(train[3])] = "is missing"
    marked = replace(faces, clips=faces.clips.replace(quarantine=Categories.of(reasons)))
    assert np.array_equal(marked.ids("train"), np.delete(train, 3))


def test_labels_are_small_ints_by_class_name(faces: Dataset) -> None:
    assert faces.labels.dtype == np.int16
    assert [faces.classes[label] for label in faces.labels] == [faces.clips.label[clip] for clip in range(len(faces))]


def test_fingerprint_is_of_meaning_not_of_health(faces: Dataset) -> None:
    sick = replace(faces, clips=faces.clips.replace(quarantine=Categories.of(["bad"] * len(faces))))
    assert sick.fingerprint == faces.fingerprint
    relabelled = replace(faces, clips=faces.clips.replace(label=Categories.of(["sad"] * len(faces), faces.classes)))
    renamed = replace(faces, clips=faces.clips.replace(name=faces.clips.name[::-1]))
    moved = replace(faces, clips=faces.clips.replace(path=faces.clips.path[::-1]))
    assert moved.fingerprint == faces.fingerprint
    assert len({faces.fingerprint, relabelled.fingerprint, renamed.fingerprint}) == 3


@pytest.mark.parametrize("clip", [-1, 28])
def test_an_id_that_does_not_exist_is_no_other_clip(faces: Dataset, clip: int) -> None:
    with pytest.raises(IndexError, match="must be 0 to 27, but one is"):
        faces.path(clip)


def test_a_dataset_shows_itself_in_a_line(faces: Dataset) -> None:
    assert repr(faces) == f"Dataset('synthdfer-0', 28 clips, 7 classes, 1 folds, '{faces.folder}')"


def test_a_split_that_does_not_exist_is_no_empty_one(faces: Dataset) -> None:
    with pytest.raises(SettingError, match="split must be one of .*, but is 'trian'"):
        faces.ids("trian")


def test_a_dataset_stays_where_it_is_when_the_process_moves(
    faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(faces.folder.parent)
    loaded = Dataset.load(faces.folder.name)
    monkeypatch.chdir(tmp_path)
    assert loaded.path(0) == faces.path(0)
    assert len({loaded, faces}) == 2


def test_a_moved_folder_keeps_working(faces: Dataset, tmp_path: Path) -> None:
    shutil.copytree(faces.folder, tmp_path / "moved")
    moved = Dataset.load(tmp_path / "moved")
    assert moved.path(0) == tmp_path / "moved" / "media" / faces.clips.path[0]
    assert moved.path(0).exists()


def test_a_fold_that_is_not_there(faces: Dataset) -> None:
    with pytest.raises(SettingError, match="fold must be 1 to 1 .*, but is 2"):
        faces.ids("train", fold=2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format = 1", "format = 99", "format 99, but this sciu reads format 1"),
        ("clips = 28", "clips = 27", "lists 27 clips, but 'clips.parquet' has 28"),
        ('"happy"', '"joy"', "must be one of .*, but is 'happy'"),
        ("folds = 1", 'folds = "1"', "`folds` in .* must be of type int, but is '1'"),
        ("name = ", "name ", "is not valid TOML"),
        ("folds = 1", "folds = 0", "`folds` in .* must be 1 to 1000, but is 0"),
        ("folds = 1", "folds = 1000000000000", "`folds` in .* must be 1 to 1000, but is 1000000000000"),
        ('root = "', 'root = "a\\u0000', r"`root` in .* must be a path, but is 'a\\x00"),
        ('"happy"', "[]", "must be different names"),
        ('"happy"', '"sad"', "must be different names"),
        ('    "happy",\n', "", "must be one of .*, but is 'happy'"),
        ("folds = 1", "folds = 3", "lacks the columns|cannot be read"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    faces: Dataset, tmp_path: Path, old: str, new: str, message: str
) -> None:
    shutil.copytree(faces.folder, tmp_path / "d")
    manifest = tmp_path / "d" / "dataset.toml"
    assert old in manifest.read_text()
    manifest.write_text(manifest.read_text().replace(old, new))
    with pytest.raises(DatasetError, match=message):
        Dataset.load(tmp_path / "d")


def test_no_dataset_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no dataset in .*sciu-data import --help"):
        Dataset.load(tmp_path)


def test_media_that_moved_away_are_one_fault(faces: Dataset) -> None:
    with pytest.raises(DatasetError, match=r"media folder '/gone' .* set `root`"):
        replace(faces, root="/gone").require_media()


def test_the_table_of_another_dataset_is_refused(faces: Dataset, frame_faces: Dataset, tmp_path: Path) -> None:
    shutil.copytree(faces.folder, tmp_path / "d")
    shutil.copy(frame_faces.folder / "clips.parquet", tmp_path / "d")
    with pytest.raises(DatasetError, match="does not match 'dataset.toml'"):
        Dataset.load(tmp_path / "d")


def test_a_number_of_5000_digits_is_a_line(faces: Dataset, tmp_path: Path) -> None:
    """Python converts no more than 4,300 digits, and says so in a ValueError."""
    folder = copy_of(faces.folder, tmp_path / "faces")
    (folder / "dataset.toml").write_text("format = " + "9" * 5000)
    with pytest.raises(DatasetError, match=r"dataset.toml' is not valid TOML: Exceeds the limit .* Fix it"):
        Dataset.load(folder)
