"""`sciu-train --resume`: what continues, from where, and what is refused."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from shared import copy_of
from training import Sciu, indexes, same_tensors, stopped_run, tensors, train

from sciu.pipeline.dataset import Dataset
from sciu.purification import EpochIndex, Purifier


def test_a_run_that_is_not_there_is_warned_of_or_refused(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    """A typo in --out would train a new run, and without its flags a default one."""
    refused = train(sciu, frame_faces, tmp_path / "rum", "--must-resume")
    assert f"--must-resume must find a run, but '{tmp_path}/rum' has none" in refused.error()
    assert refused.code == 2
    assert not (tmp_path / "rum").exists()
    begun = train(sciu, frame_faces, tmp_path / "run", "--resume", "--epochs", 1, "--set", "lr_warmup=0", "--seed", 7)
    assert begun.code == 0, begun.err
    (warning,) = [line for line in begun.err.splitlines() if line.startswith("Warning: ")]
    assert f"nothing to resume in '{tmp_path}/run'" in warning
    assert "method sciu, backbone tiny_lstm, fold 1, epochs 1, batch_size 8, lr 0.004, seed 7" in warning
    again = train(
        sciu, frame_faces, tmp_path / "run", "--must-resume", "--epochs", 1, *("--set", "lr_warmup=0"), "--seed", 7
    )
    assert again.code == 0, again.err
    assert "Warning" not in again.err
    assert "--out must name" in sciu("train", frame_faces.folder, "--must-resume").error()


def test_a_run_that_has_ended_says_so_again(
    sciu: Sciu, frame_faces: Dataset, finished_run: Path, tmp_path: Path
) -> None:
    run = copy_of(finished_run, tmp_path / "run")
    before = indexes(run)
    again = sciu("train", frame_faces.folder, "--out", run, "--resume", "--json")
    assert again.code == 0, again.err
    before_it = json.loads((finished_run / "summary.json").read_text())
    assert {**again.json, "seconds": {}} == {**before_it, "seconds": {}}  # less of what was not done again
    assert indexes(run) == before
    assert "\nthe run has ended after 2 epochs; --resume --epochs N goes on to epoch N\n" in again.err
    assert "epoch 2/2" not in again.err, "nothing was trained"
    (run / "log.jsonl").unlink()
    killed_before_its_report = sciu("train", frame_faces.folder, "--out", run, "--resume")
    assert "epoch 2/2  loss" in killed_before_its_report.err
    assert "has ended" not in killed_before_its_report.err


def test_a_run_that_goes_on_does_not_tell_an_old_epoch_as_a_new_one(
    sciu: Sciu, frame_faces: Dataset, finished_run: Path, tmp_path: Path
) -> None:
    run = copy_of(finished_run, tmp_path / "run")
    (run / "trace.json").write_text("{}")
    longer = sciu("train", frame_faces.folder, "--out", run, "--resume", "--epochs", 3, "--profile")
    assert [line[:9] for line in longer.err.splitlines() if line.startswith("epoch ")] == ["epoch 3/3"]
    assert "resumed after epoch 2\n" in longer.err
    assert f"profile: '{run}/trace.json' of before is kept" in longer.err
    assert "\ntime of all 3 epochs: " in longer.out
    again = sciu("train", frame_faces.folder, "--out", run, "--resume", "--patience", 1)
    assert "of before is kept" not in again.err, "nobody asked for another"


def test_the_weights_that_a_run_began_with_are_not_needed_again(
    sciu: Sciu, frame_faces: Dataset, finished_run: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.pt"
    shutil.copyfile(finished_run / "checkpoints" / "last.pt", weights)
    begun = train(sciu, frame_faces, tmp_path / "run", "--weights", weights)
    assert f"weights: '{weights}'" in begun.err
    weights.unlink()
    again = sciu("train", frame_faces.folder, "--out", tmp_path / "run", "--resume")
    assert again.code == 0, again.err
    assert "weights:" not in again.err


def test_another_configuration_or_dataset_is_shown_and_refused(
    sciu: Sciu, frame_faces: Dataset, finished_run: Path, tmp_path: Path
) -> None:
    run, copied = copy_of(finished_run, tmp_path / "run"), Dataset.load(copy_of(frame_faces.folder, tmp_path / "data"))
    told = sciu("train", frame_faces.folder, "--out", run, "--resume", "--lr", 0.5, "--seed", 3).error()
    assert "lr: 0.004 in the run, 0.5 now" in told
    assert "seed: 0 in the run, 3 now" in told
    assert f"begin a new run with these settings from its weights: --out NEW --weights '{run}'" in told
    table = copied.clips
    other = replace(copied, clips=replace(table, name=[f"other {name}" for name in table.name]))
    other.save()
    told = sciu("train", other.folder, "--out", run, "--resume").error()
    assert (
        f"must be resumed on its dataset, '{frame_faces.folder}', as it was, but '{copied.folder}' is another" in told
    )
    assert sciu("train", copied.folder, "--out", run, "--resume", "--threads", 1).code == 3


def test_the_store_of_another_run_is_refused(
    sciu: Sciu, frame_faces: Dataset, finished_run: Path, tmp_path: Path
) -> None:
    run = copy_of(finished_run, tmp_path / "run")
    shutil.rmtree(run / "purifier")
    again = ("train", frame_faces.folder, "--out", run, "--resume")
    assert "purifier' is missing" in sciu(*again).error()
    train(sciu, frame_faces, tmp_path / "other", "--epochs", 1, "--set", "lr_warmup=0")
    shutil.copytree(tmp_path / "other/purifier", run / "purifier")
    assert "purifier' must be the run's own" in sciu(*again).error()


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1}', "{"])
def test_a_damaged_card_is_told(sciu: Sciu, frame_faces: Dataset, tmp_path: Path, content: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.json").write_text(content)
    for answer in (
        sciu("train", frame_faces.folder, "--out", tmp_path / "run", "--resume"),
        sciu("eval", tmp_path / "run"),
    ):
        assert "run.json' must" in answer.error()
        assert answer.code == 3


def test_an_older_checkpoint_goes_the_same_way_again(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    """With the newest damaged, the one before it comes to the same end, by the indexes that the store remembers."""
    train(sciu, frame_faces, tmp_path / "run", "--epochs", 3, "--set", "max_pruned=0.2", "--set", "prune_below=1.0")
    before, end = indexes(tmp_path / "run"), tensors(tmp_path / "run")
    checkpoints = tmp_path / "run/checkpoints"
    damaged = bytearray((checkpoints / "last.pt").read_bytes())
    largest = max(zipfile.ZipFile(checkpoints / "last.pt").infolist(), key=lambda entry: entry.file_size)
    damaged[largest.header_offset + largest.file_size // 2] ^= 8
    (checkpoints / "last.pt").unlink()
    (checkpoints / "last.pt").write_bytes(damaged)
    again = ("train", frame_faces.folder, "--out", tmp_path / "run", "--resume")
    assert "last.pt' is damaged" in sciu(*again).error()
    (checkpoints / "last.pt").unlink()
    (checkpoints / "epoch_00003.pt").unlink()
    assert sciu(*again).code == 0
    assert indexes(tmp_path / "run") == before
    assert same_tensors(tensors(tmp_path / "run"), end)


@pytest.mark.parametrize("again", [False, True])
def test_what_a_check_quarantined_meanwhile_leaves_the_run(
    sciu: Sciu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """The rest of the epoch continues without the clip, also where a first attempt to resume was killed at once."""
    data, run = stopped_run(tmp_path)
    monkeypatch.chdir(tmp_path)
    dataset = Dataset.load(data)
    scored = torch.load(run / "checkpoints/last.pt", weights_only=True)["board"]["seen"][:-1] > 0
    with Purifier.open(run / "purifier", read_only=True) as purifier:
        bad = int(np.setdiff1d(purifier.index().ids, scored.nonzero()[:, 0].numpy())[0])
    shutil.rmtree(dataset.path(bad))
    assert sciu("data", "check", data).code == 1
    if again:
        with Purifier.open(run / "purifier") as purifier:
            purifier.quarantine([bad], "is missing")
    answer = sciu("train", data, "--out", run, "--resume", "--json")
    assert answer.code == 0, answer.err
    assert again or "quarantine: 1 clips that `sciu-data check` has quarantined are left out" in answer.err
    assert answer.json["quarantined"] == 1
    assert bad in EpochIndex.read(run / "index", 4).ids
    assert bad not in EpochIndex.read(run / "index", 5).ids
    assert answer.json["clips_per_epoch"][3] == len(EpochIndex.read(run / "index", 4).ids) - 1
    assert "is missing" in sciu("purify", "show", run, bad).out
