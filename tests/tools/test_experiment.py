"""The experiment measures what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from helpers import Answer
from training import QUICK, SMALL

from sciu.pipeline.dataset import Dataset
from sciu.tools.experiment.clips import load_clips


def test_clips_in_memory_are_the_datasets(faces: Dataset) -> None:
    clips = load_clips(faces)
    assert clips.frames_NTCHW.shape == (28, 16, 3, 32, 32)  # 12 frames, some of them twice
    assert clips.frames_NTCHW.dtype == torch.uint8
    assert [faces.classes[label] for label in clips.labels_N] == [faces.clips.label[clip] for clip in range(28)]
    assert clips.still().frames_NTCHW.shape == (28, 1, 3, 32, 32)


def test_learnable_reports_every_classifier(faces: Dataset, sciu: Callable[..., Answer]) -> None:
    answer = sciu("experiment", "learnable", faces.folder, "--epochs", 1, "--json")
    assert answer.code == 0
    accuracy = answer.json["accuracy"]
    assert list(accuracy) == ["chance", "linear, mean frame", "CNN, mean frame", "CNN + LSTM, 16 frames"]
    assert all(0 <= value <= 1 for value in accuracy.values())
    assert accuracy == sciu("experiment", "learnable", faces.folder, "--epochs", 1, "--json").json["accuracy"]


def test_compare_puts_runs_beside_each_other(frame_faces: Dataset, sciu: Callable[..., Answer], tmp_path: Path) -> None:
    for method in ("plain", "sciu"):
        trained = sciu(
            "train", frame_faces.folder, "--out", tmp_path / method, *SMALL, *QUICK, "--epochs", 2, "--method", method
        )
        assert trained.code == 0, trained.err
    shown = sciu("experiment", "compare", tmp_path / "plain", tmp_path / "sciu")
    assert "unusable clips found: precision / recall" in shown.out
    found = sciu("experiment", "compare", tmp_path / "plain", tmp_path / "sciu", "--json").json
    assert [summary["method"] for summary in found.values()] == ["plain", "sciu"]
    assert "has no summary.json" in sciu("experiment", "compare", tmp_path).error()
    (tmp_path / "plain/summary.json").write_text('{"method": 7}')
    told = sciu("experiment", "compare", tmp_path / "plain", tmp_path / "sciu").error()
    assert "plain/summary.json' is damaged: method must be text, but is 7" in told
