"""`sciu-eval` reports what the training reported, and combines folds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import Answer

from sciu.pipeline.dataset import Dataset

Sciu = Callable[..., Answer]


@pytest.mark.parametrize("checkpoint", ["last", "best", "1"])
def test_it_agrees_with_the_training(sciu: Sciu, finished_run: Path, checkpoint: str) -> None:
    found = sciu("eval", finished_run, "--checkpoint", checkpoint, "--json").json
    records = [json.loads(line) for line in (finished_run / "log.jsonl").read_text().splitlines()]
    assert found["war"] == records[found["epoch"] - 1]["test"]["war"]
    assert found["confusion"] == records[found["epoch"] - 1]["test"]["confusion"]


def test_folds_are_averaged_and_pooled(sciu: Sciu, finished_run: Path) -> None:
    found = sciu("eval", finished_run, "--folds", "--json").json
    assert found["average"]["war"] == pytest.approx(found["folds"][0]["war"])
    assert np.sum(found["pooled"]["confusion"]) == found["folds"][0]["clips"]
    assert "average" in sciu("eval", finished_run, "--folds").out


def test_another_dataset_is_told(sciu: Sciu, finished_run: Path, frame_faces: Dataset, tmp_path: Path) -> None:
    table = frame_faces.clips
    shutil.copytree(frame_faces.folder, tmp_path / "data")
    other = Dataset.load(tmp_path / "data")
    replace(other, clips=replace(table, name=[f"other {name}" for name in table.name])).save()
    answer = sciu("eval", finished_run, "--data", tmp_path / "data")
    assert answer.code == 0
    assert "is not the dataset that" in answer.err


def test_bad_input(sciu: Sciu, finished_run: Path, faces: Dataset, tmp_path: Path) -> None:
    assert "Add --folds if they are folds of one dataset" in sciu("eval", finished_run, finished_run).error()
    assert "of different folds, but are of folds [1, 1]" in sciu("eval", finished_run, finished_run, "--folds").error()
    assert "must be a run, but has no run.json" in sciu("eval", tmp_path).error()
    assert "There are: best" in sciu("eval", finished_run, "--checkpoint", "77").error()
    assert "no dataset in" in sciu("eval", finished_run, "--data", tmp_path).error()
    assert "split 'val' of fold 1 must have clips" in sciu("eval", finished_run, "--split", "val").error()
