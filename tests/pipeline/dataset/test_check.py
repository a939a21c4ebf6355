"""Checking finds every planted fault, releases what was mended, and is not fooled by a lost disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import silent

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.check import check


@pytest.fixture
def copy(faces: Dataset, tmp_path: Path) -> Dataset:
    shutil.copytree(faces.folder, tmp_path / "copy")
    return Dataset.load(tmp_path / "copy")


def test_a_sound_dataset(copy: Dataset) -> None:
    checked, problems = check(copy, "decode", silent)
    assert problems == []
    assert np.array_equal(checked.clips.frames, copy.clips.frames)


def test_planted_faults_are_found_and_never_fed(copy: Dataset) -> None:
    copy.path(2).write_bytes(b"")
    copy.path(5).write_bytes(b"junk")
    copy.path(7).write_bytes(copy.path(7).read_bytes()[:-200])
    copy.path(11).unlink()
    checked, problems = check(copy, "probe", silent)
    assert [problem.id for problem in problems] == [2, 5, 7, 11]
    for dataset in (checked, Dataset.load(copy.folder)):
        fed = np.concatenate([dataset.ids("train"), dataset.ids("test")])
        assert not {2, 5, 7, 11} & set(fed.tolist())
        assert len(fed) == len(copy) - 4
        assert dataset.fingerprint == copy.fingerprint


def test_a_mended_clip_is_released(copy: Dataset) -> None:
    kept = copy.path(3).read_bytes()
    copy.path(3).write_bytes(b"junk")
    checked, problems = check(copy, "probe", silent)
    assert [problem.id for problem in problems] == [3]
    copy.path(3).write_bytes(kept)
    assert check(checked, "probe", silent)[1] == []
    assert not Dataset.load(copy.folder).quarantined.any()


def test_a_lost_disk_marks_nothing(copy: Dataset) -> None:
    for path in (copy.folder / "media").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match="none of the 28 clips .* Nothing was marked"):
        check(copy, "probe", silent)
    (copy.folder / "media").rmdir()
    with pytest.raises(DatasetError, match="is not there"):
        check(copy, "probe", silent)
    assert not Dataset.load(copy.folder).quarantined.any()
