"""Which labels train, and that no class is lost silently."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feeding import index_of

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.table import Categories
from sciu.pipeline.train.errors import RunError, TrainError
from sciu.pipeline.train.purify import labels_of_file, labels_to_train, require_every_class


def test_only_the_training_split_has_labels(faces: Dataset) -> None:
    labels = labels_to_train(faces, 1)
    assert np.array_equal(np.flatnonzero(labels >= 0), faces.ids("train"))


def test_labels_of_a_file_are_taken_as_they_are(faces: Dataset, tmp_path: Path) -> None:
    labels = labels_to_train(faces, 1)
    labels[faces.ids("train")[0]] = -1
    np.save(tmp_path / "labels.npy", labels)
    assert np.array_equal(labels_of_file(tmp_path / "labels.npy", faces, 1), labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda labels: labels.astype(np.int64), "must hold a label for each of 28 clips, int16, but holds int64"),
        (lambda labels: labels[1:], "Is it of another dataset?"),
        (lambda labels: np.where(labels == 0, 7, labels).astype(np.int16), "must be -1 to 6, but are -1 to 7"),
        (lambda labels: np.maximum(labels, 0), "clips outside of the training split must be -1"),
    ],
)
def test_labels_of_a_file_that_cannot_be_meant_are_refused(
    change: Any, message: str, faces: Dataset, tmp_path: Path
) -> None:
    np.save(tmp_path / "labels.npy", change(labels_to_train(faces, 1)))
    with pytest.raises(RunError, match=message):
        labels_of_file(tmp_path / "labels.npy", faces, 1)
    (tmp_path / "labels.npy").write_text("not an array")
    with pytest.raises(RunError, match="must be a run or a .npy file of labels"):
        labels_of_file(tmp_path / "labels.npy", faces, 1)


def test_a_class_that_purification_emptied_stops_the_run(faces: Dataset) -> None:
    train = faces.ids("train")
    require_every_class(index_of(faces, train), faces, 1)
    sad = faces.classes.index("sad")
    left = index_of(faces, [clip for clip in train.tolist() if faces.labels[clip] != sad], epoch=12)
    with pytest.raises(TrainError, match="class 'sad' must have clips .* left in epoch 12.*undo RUN --epoch 11"):
        require_every_class(left, faces, 1)


def test_so_does_a_class_whose_clips_are_all_in_quarantine(faces: Dataset) -> None:
    """They are in the index of the epoch that is under way, and not in its plan."""
    index, sad = index_of(faces, faces.ids("train")), faces.classes.index("sad")
    reasons = ["cut off" if label == sad else None for label in faces.labels]
    checked = replace(faces, clips=faces.clips.replace(quarantine=Categories.of(reasons)))
    with pytest.raises(TrainError, match="class 'sad' must have clips .*sciu-purify release"):
        require_every_class(index, checked, 1)
