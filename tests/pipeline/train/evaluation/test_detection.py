"""What was found is counted against what was planted, according to the definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.train.evaluation.detection import Truth, detection, read_truth


def test_by_hand() -> None:
    """Clips 0-3 are fine, 3 is relabelled; 4-5 are wrong, 4 is corrected; 6-7 unusable, 6 is pruned; 8 tests."""
    truth = Truth(np.array([0, 0, 1, 1, 0, 1, 0, 1, 0]), np.array([False] * 6 + [True] * 2 + [False]))
    given = np.array([0, 0, 1, 1, 1, 0, 0, 1, 0], np.int16)
    now = np.array([0, 0, 1, 0, 0, 0, -1, 1, -1], np.int16)
    found = detection(truth, np.arange(8), given, now, pruned=np.arange(9) == 6)
    assert found["low_quality"] == {"precision": 1.0, "recall": 0.5, "f1": 0.6667}
    assert found["wrong_label"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert found["correction_accuracy"] == 0.5
    assert found["clean_labels_broken"] == 1
    assert found["label_accuracy_before"] == 0.75
    assert found["label_accuracy_after"] == pytest.approx(5 / 7, abs=1e-4)


def test_what_nobody_could_judge_counts_nowhere_and_unusable_clips_need_no_label() -> None:
    """Clip 3 is unjudged and 4 unusable; of the right ones 0 and 1 the second is relabelled, 2 is wrong and pruned."""
    truth = Truth(np.array([0, 1, 1, -1, -1]), np.array([False] * 4 + [True]), ("happy", "sad"))
    given = np.array([0, 1, 0, 0, 1], np.int16)
    now = np.array([0, 0, -1, 1, -1], np.int16)
    found = detection(truth, np.arange(5), given, now, pruned=now < 0)
    assert found["low_quality"] == {"precision": 0.5, "recall": 1.0, "f1": 0.6667}
    assert found["wrong_label"]["precision"] == 0.0  # the unjudged clip's relabelling is not judged either
    assert found["wrong_label_touched"] == {"precision": 0.5, "recall": 1.0, "f1": 0.6667}
    assert found["right_labels_touched"] == 0.5
    assert found["label_accuracy_before"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["label_accuracy_after"] == 0.5
    assert found["class_members_kept"] == {"happy": 1.0, "sad": 0.0}


def test_a_truth_may_name_its_clips_and_leave_the_unjudged_out(faces: Dataset, tmp_path: Path) -> None:
    other = Dataset(folder=tmp_path, name="x", classes=faces.classes, root=".", clips=faces.clips)
    first, second, third = faces.clips.name[:3]
    rows = [f"{third},sad,mislabelled", f"{first},,unusable", f"{second},,unjudged"]
    (tmp_path / "truth.csv").write_text("\n".join(["path,true_label,kind", *rows]))
    truth = read_truth(other)
    assert truth is not None
    assert truth.label[:4].tolist() == [-1, -1, faces.classes.index("sad"), -1]
    assert np.flatnonzero(truth.low_quality).tolist() == [0]
    assert np.flatnonzero(truth.known).tolist() == [0, 2]
    (tmp_path / "truth.csv").write_text("path,true_label,kind\nnowhere,sad,clean\n")
    with pytest.raises(DatasetError, match="the dataset has no clip 'nowhere'"):
        read_truth(other)
    (tmp_path / "truth.csv").write_text(f"path,true_label,kind\n{first},,clean\n")
    with pytest.raises(DatasetError, match="'' is not a class; these are: "):
        read_truth(other)


def test_rows_go_by_their_ids_and_not_by_their_order(faces: Dataset, tmp_path: Path) -> None:
    other = Dataset(folder=tmp_path, name="x", classes=faces.classes, root=".", clips=faces.clips)
    head, *rows = (faces.folder / "truth.csv").read_text().splitlines()
    (tmp_path / "truth.csv").write_text("\n".join([head, *sorted(rows, key=lambda row: row.split(",")[1])]))
    truth, shuffled = read_truth(faces), read_truth(other)
    assert truth is not None
    assert shuffled is not None
    assert np.array_equal(truth.label, shuffled.label)
    assert np.array_equal(truth.low_quality, shuffled.low_quality)
    for wrong in (rows[1], "x,happy,clean"):
        (tmp_path / "truth.csv").write_text("\n".join([head, wrong, *rows[1:]]))
        with pytest.raises(DatasetError, match="its 28 clip_ids are not 0 to 27, each once"):
            read_truth(other)
    (tmp_path / "truth.csv").write_text("\n".join([head, "0,happy,zzz", *rows[1:]]))
    with pytest.raises(DatasetError, match="'zzz' is not a kind; these are: clean"):
        read_truth(other)


def test_of_nothing_there_is_no_share() -> None:
    truth = Truth(np.array([0, 1]), np.array([False, False]))
    given = np.array([0, 1], np.int16)
    found = detection(truth, np.arange(2), given, given, pruned=np.zeros(2, np.bool_))
    assert found["low_quality"] == {"precision": None, "recall": None, "f1": None}
    assert found["correction_accuracy"] is None


def test_a_truth_that_is_of_another_dataset_is_refused(faces: Dataset, tmp_path: Path) -> None:
    truth = read_truth(faces)
    assert truth is not None
    assert len(truth.label) == len(faces)
    other = Dataset(folder=tmp_path, name="x", classes=faces.classes, root=".", clips=faces.clips)
    assert read_truth(other) is None
    (tmp_path / "truth.csv").write_text("clip_id,true_label,kind\n0,happy,clean\n")
    with pytest.raises(DatasetError, match="its 1 clip_ids are not 0 to 27, each once"):
        read_truth(other)
    rows = "\n".join(f"{clip},happy" for clip in range(28))
    (tmp_path / "truth.csv").write_text(f"clip_id,true_label\n{rows}\n")
    with pytest.raises(DatasetError, match="must have columns true_label and kind, but lacks 'kind'"):
        read_truth(other)
