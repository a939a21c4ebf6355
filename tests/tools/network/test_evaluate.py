"""`sciu-eval` reports what the training reported, and combines folds."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import without_groups
from shared import copy_of
from training import Sciu, train

from sciu.pipeline.dataset import Dataset


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


def test_the_confusion_matrix_is_shown_with_the_names_of_classes(
    sciu: Sciu, finished_run: Path, frame_faces: Dataset
) -> None:
    found = sciu("eval", finished_run, "--json").json
    assert found["classes"] == [*frame_faces.classes]
    lines = sciu("eval", finished_run).out.splitlines()
    at = lines.index(f"{finished_run}: true classes in rows, predicted classes in columns")
    assert lines[at + 1].split() == [*frame_faces.classes]
    rows = [line.split() for line in lines[at + 3 :]]
    assert {name: [int(count) for count in counts] for name, *counts in rows} == dict(
        zip(frame_faces.classes, found["confusion"], strict=True)
    )
    pooled = sciu("eval", finished_run, "--folds").out
    assert pooled.count("true classes in rows") == pooled.count("pooled: true classes in rows") == 1


def test_several_runs_are_shown_side_by_side(sciu: Sciu, finished_run: Path, tmp_path: Path) -> None:
    other = copy_of(finished_run, tmp_path / "other")
    answer = sciu("eval", finished_run, other, "--json")
    assert [result["run"] for result in answer.json["runs"]] == [str(finished_run), str(other)]
    assert answer.json["runs"][0] == sciu("eval", finished_run, "--json").json
    assert "different clips" not in answer.err
    shown = sciu("eval", finished_run, other).out
    assert shown.index(f"\n{finished_run} ") < shown.index(f"\n{other} ") < shown.index("true classes in rows")
    assert shown.count("true classes in rows") == 2


def test_confusion_matrices_are_drawn_one_a_run_or_that_of_the_folds(
    sciu: Sciu, finished_run: Path, tmp_path: Path
) -> None:
    other, place = copy_of(finished_run, tmp_path / "other"), tmp_path / "confusion.svg"
    for runs in ([finished_run, other], [finished_run, "--folds"]):
        answer = sciu("eval", *runs, "--picture", place, "--replace", "--json")
        shown = (
            [("pooled", answer.json["pooled"])]
            if "--folds" in runs
            else [(result["run"], result) for result in answer.json["runs"]]
        )
        titles = [f"<!-- {name}: WAR {each['war']:.1%}, UAR {each['uar']:.1%} -->" for name, each in shown]
        assert [line.strip() for line in place.read_text().splitlines() if ": WAR" in line] == titles
    assert sciu("eval", finished_run, "--picture", tmp_path / "small.PNG").code == 0
    assert (tmp_path / "small.PNG").read_bytes().startswith(b"\x89PNG")


def test_a_picture_is_refused_before_the_work(sciu: Sciu, tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_text("mine")
    for name, said in (
        ("mine.png", "--picture must be a new file"),
        ("a.jpg", "must be a file that ends in .png, .svg"),
    ):
        answer = sciu("eval", tmp_path / "no-run", "--picture", tmp_path / name)
        assert (answer.code, said in answer.error()) == (2, True)
    assert (tmp_path / "mine.png").read_text() == "mine"


def test_the_clips_that_were_held_out_are_evaluated_alone(
    sciu: Sciu, finished_run: Path, frame_faces: Dataset, tmp_path: Path
) -> None:
    """They are those of the run's log; clips that were quarantined since are left out."""
    run, data = tmp_path / "run", without_groups(frame_faces, tmp_path / "data")
    assert train(sciu, data, run, "--validation", 0.5, "--method", "plain").code == 0
    found = sciu("eval", run, "--split", "validation", "--json").json
    logged = json.loads((run / "log.jsonl").read_text().splitlines()[-1])["validation"]
    assert found["split"] == "validation"
    assert found.items() >= logged.items()
    beside = sciu("eval", run, finished_run, "--split", "test")
    assert "different clips" not in beside.err
    card = json.loads((run / "run.json").read_text())
    bad = card["held_out"][0]
    shutil.rmtree(data.path(bad))
    assert sciu("data", "check", data.folder).code == 1
    assert sciu("eval", run, "--split", "validation", "--json").json["clips"] == found["clips"] - 1
    assert "must have held out clips" in sciu("eval", finished_run, "--split", "validation").error()
    other = Dataset.load(copy_of(frame_faces.folder, tmp_path / "other"))
    replace(other, clips=replace(other.clips, name=[f"other {name}" for name in other.clips.name])).save()
    told = sciu("eval", run, "--split", "validation", "--data", other.folder).error()
    assert "must be of the run's own dataset" in told
    assert "different clips" in sciu("eval", run, finished_run, "--split", "train").err


def test_another_dataset_is_told(sciu: Sciu, finished_run: Path, frame_faces: Dataset, tmp_path: Path) -> None:
    table = frame_faces.clips
    shutil.copytree(frame_faces.folder, tmp_path / "data")
    other = Dataset.load(tmp_path / "data")
    replace(other, clips=replace(table, name=[f"other {name}" for name in table.name])).save()
    answer = sciu("eval", finished_run, "--data", tmp_path / "data")
    assert answer.code == 0
    assert "is not the dataset that" in answer.err


def test_bad_input(sciu: Sciu, finished_run: Path, faces: Dataset, tmp_path: Path) -> None:
    assert "of different folds, but are of folds [1, 1]" in sciu("eval", finished_run, finished_run, "--folds").error()
    assert "must be a run, but has no run.json" in sciu("eval", tmp_path).error()
    assert f"'{tmp_path}/nowhere' must be a run, but does not exist" in sciu("eval", tmp_path / "nowhere").error()
    assert "There are: best" in sciu("eval", finished_run, "--checkpoint", "77").error()
    assert "no dataset in" in sciu("eval", finished_run, "--data", tmp_path).error()
    assert "split 'val' of fold 1 must have clips" in sciu("eval", finished_run, "--split", "val").error()


def test_test_clips_of_a_newer_split_that_the_run_was_trained_on_are_counted(
    sciu: Sciu, frame_faces: Dataset, tmp_path: Path
) -> None:
    data = copy_of(frame_faces.folder, tmp_path / "data")
    assert train(sciu, data, tmp_path / "run", "--epochs", 1, "--set", "lr_warmup=0").code == 0
    assert sciu("eval", tmp_path / "run", "--json").json["trained_on"] == 0
    before = set(Dataset.load(data).ids("train").tolist())
    assert sciu("data", "split", data, "--test", 0.5, "--replace", "--by", "clip", "--seed", 3).code == 0
    tested = Dataset.load(data).ids("test").tolist()
    known = len(before.intersection(tested))
    answer = sciu("eval", tmp_path / "run", "--json")
    assert answer.json["trained_on"] == known > 0
    assert f"Warning: '{tmp_path}/run' was trained on {known} of these {len(tested)} clips" in answer.err
    begun = train(sciu, data, tmp_path / "next", "--weights", tmp_path / "run", "--epochs", 1, "--set", "lr_warmup=0")
    assert f"trained on {known} of the {len(tested)} test clips" in begun.err
