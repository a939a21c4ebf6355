"""What a trained network says of any clips is what its evaluation says of the same clips."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import write_clip
from shared import copy_of

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train import Predictor
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.run.trained_run import TrainedRun


@pytest.fixture(scope="module")
def predictor(finished_run: Path) -> Predictor:
    return Predictor.load(finished_run, device="cpu")


def test_it_says_what_the_evaluation_of_the_run_says(
    predictor: Predictor, finished_run: Path, frame_faces: Dataset
) -> None:
    run = TrainedRun.load(finished_run)
    seen = run.evaluate(torch.device("cpu"), split="test", views=None, progress=lambda *_: None)
    found = predictor([frame_faces.path(clip) for clip in reversed(seen.ids.tolist())])
    for clip, row in zip(reversed(found), range(len(seen.ids)), strict=True):
        assert list(clip.probabilities) == list(frame_faces.classes)
        np.testing.assert_allclose(list(clip.probabilities.values()), seen.probs[row], atol=1e-6)
        assert clip.label == frame_faces.classes[seen.probs[row].argmax()]
        assert clip.weight == pytest.approx(seen.weights[row], abs=1e-6)
        assert 0 < seen.weights[row] < 1, "the method has a weight head"


def test_a_clip_that_cannot_be_read_costs_that_clip_only(predictor: Predictor, tmp_path: Path) -> None:
    write_clip(tmp_path / "good.mp4", "h264")
    (tmp_path / "text.txt").write_text("no clip")
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "good.mp4").read_bytes()[:300])
    (tmp_path / "empty").mkdir()
    good, *bad = predictor([tmp_path / name for name in ("good.mp4", "text.txt", "cut.mp4", "empty", "none.mp4")])
    assert good.fault is None
    assert good.label in predictor.classes
    assert [clip.label for clip in bad] == [None] * 4
    assert all(clip.fault for clip in bad)
    assert bad[-1].fault == "is missing"


def test_a_clip_that_is_named_twice_is_answered_twice_and_nothing_is_answered_with_nothing(
    predictor: Predictor, frame_faces: Dataset
) -> None:
    one, other = predictor([frame_faces.path(3), frame_faces.path(3)])
    assert one == other
    assert predictor([]) == []


def test_the_dataset_of_the_training_is_not_needed(
    finished_run: Path, frame_faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_of(finished_run, tmp_path / "elsewhere")
    monkeypatch.setattr(Dataset, "load", lambda *_: pytest.fail("the dataset was read"))
    shutil.copytree(frame_faces.path(0), tmp_path / "clip")
    with Predictor.load(tmp_path / "elsewhere", device="cpu", batch_size=1) as moved:
        assert moved([tmp_path / "clip"])[0].label in frame_faces.classes


def test_a_run_that_decoded_on_a_gpu_predicts_on_a_cpu(
    finished_run: Path, frame_faces: Dataset, tmp_path: Path
) -> None:
    run = with_settings(copy_of(finished_run, tmp_path / "run"), decode="gpu")
    assert Predictor.load(run, device="cpu")([frame_faces.path(0)])[0].label in frame_faces.classes


def test_a_run_on_noise_is_refused(finished_run: Path, tmp_path: Path) -> None:
    run = with_settings(copy_of(finished_run, tmp_path / "run"), pipeline="synthetic")
    with pytest.raises(RunError, match="was trained on noise, with --pipeline synthetic"):
        Predictor.load(run, device="cpu")


def with_settings(run: Path, **changed: str) -> Path:
    card = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**card, "settings": {**card["settings"], **changed}}))
    return run


def test_a_name_that_is_no_text_costs_nothing(predictor: Predictor, tmp_path: Path) -> None:
    write_clip(tmp_path / "good.mp4", "h264")
    odd = tmp_path / os.fsdecode(b"odd\xff.mp4")
    shutil.copyfile(tmp_path / "good.mp4", odd)
    good, found = predictor([tmp_path / "good.mp4", odd])
    assert found.path == f"{tmp_path}/odd\\xff.mp4"
    assert found.label == good.label
