"""What `sciu-train` prints, quietly and not, and what the documentation shows to run all folds and to be requeued."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shared import copy_of
from training import QUICK, SMALL, Sciu, train, wait_for

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.table import SPLITS, Categories

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


def blocks(page: str) -> list[str]:
    """The blocks of a page that a shell runs."""
    return re.findall(r"(?ms)^```bash\n(.*?)^```$", (DOCS / page).read_text())


def in_folds(dataset: Dataset, place: Path, folds: int) -> Dataset:
    """Copy a dataset; each fold tests on every so-manieth clip of every class."""
    copied = Dataset.load(copy_of(dataset.folder, place))
    rank = np.zeros(len(copied), int)
    for k in range(len(copied.classes)):
        members = copied.labels == k
        rank[members] = np.arange(members.sum())
    names = [["test" if each % folds == fold else "train" for each in rank.tolist()] for fold in range(folds)]
    splits = [Categories.of(each, SPLITS) for each in names]
    table = copied.clips.replace(folds=tuple(splits), group=Categories.of([None] * len(copied)))
    replace(copied, clips=table).save()
    return Dataset.load(place)


def begin(script: str, folder: Path) -> subprocess.Popen[str]:
    """Start a script; our commands are those of this interpreter, and `scontrol` notes what it is told."""
    places = folder / "bin"
    places.mkdir()
    commands = {f"sciu-{name}": f'exec "{sys.executable}" -m sciu.tools {name} "$@"' for name in ("train", "eval")}
    for name, line in {**commands, "scontrol": 'echo "$@" >> scontrol.txt'}.items():
        (places / name).write_text(f"#!/bin/sh\n{line}\n")
        (places / name).chmod(0o755)
    return subprocess.Popen(
        ["bash", "-c", script], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PATH": f"{places}:{os.environ['PATH']}", "SLURM_JOB_ID": "17"},
    )  # fmt: skip


def test_quietly_it_says_only_the_last_line(
    sciu: Sciu, frame_faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/sciu-train", "a b", "--quiet"])
    quiet = train(sciu, frame_faces, tmp_path / "quiet", "--quiet")
    assert quiet.code == 0, quiet.err
    assert (quiet.err, len(quiet.out.splitlines())) == ("", 1)
    assert quiet.out.startswith("last epoch 2: WAR ")
    assert json.loads((tmp_path / "quiet/run.json").read_text())["command"] == "sciu-train 'a b' --quiet"
    monkeypatch.setattr(sys, "argv", ["/somewhere/sciu-train", "again"])
    again = sciu("train", frame_faces.folder, "--out", tmp_path / "quiet", "--resume")
    assert again.err.splitlines()[:2] == ["command: sciu-train again", "begun by: sciu-train 'a b' --quiet"]
    told = sciu("train", frame_faces.folder, "--out", tmp_path / "quiet", "--resume", "--quiet", "--json")
    assert told.err == ""
    assert told.json["epochs_done"] == 2


def test_warnings_are_said_also_quietly(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    """There is no run to resume, and people who train are people who test."""
    data = Dataset.load(copy_of(frame_faces.folder, tmp_path / "data"))
    data = data.save_clips(data.clips.replace(group=Categories.of(["one person"] * len(data))))
    data.save()
    answer = train(sciu, data, tmp_path / "run", "--quiet", "--resume")
    assert answer.code == 0, answer.err
    lines = answer.err.splitlines()
    assert len(lines) >= 2
    assert all(line.startswith("Warning: ") for line in lines), answer.err
    assert any(line.startswith("Warning: dataset: ") for line in lines)


def test_the_folds_of_the_documentation_run(frame_faces: Dataset, tmp_path: Path) -> None:
    in_folds(frame_faces, tmp_path / "faces", 2)
    (script,) = [block for block in blocks("training.md") if block.startswith("for fold in ")]
    script = script.replace("1 2 3 4 5", "1 2").replace("data/dfew128", "faces")
    small = shlex.join([*SMALL, *QUICK, "--epochs", "2"])
    assert "--preset dfew" in script
    running = begin(script.replace("--preset dfew", small).replace("--folds", "--folds --json"), tmp_path)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    answer = json.loads(out[out.index("{") :])
    assert [fold["fold"] for fold in answer["folds"]] == [1, 2]
    assert answer["average"]["war"] == pytest.approx(np.mean([fold["war"] for fold in answer["folds"]]))


def test_the_job_of_the_documentation_is_requeued_where_it_was_preempted(frame_faces: Dataset, tmp_path: Path) -> None:
    """SLURM sends SIGUSR1 to the script alone; the run saves, and the script asks for another turn."""
    (script,) = [block for block in blocks("operations.md") if "B:USR1" in block]
    small = shlex.join([*SMALL, *QUICK, "--epochs", "200"])
    script = script.replace("data/dfew128", str(frame_faces.folder)).replace("--preset dfew", small)
    running = begin(script, tmp_path)
    wait_for(tmp_path / "runs/dfew/index/epoch_00002.json", running)
    running.send_signal(signal.SIGUSR1)
    _, err = running.communicate(timeout=60)
    assert "stopped by SIGUSR1; saved in epoch" in err
    assert (tmp_path / "scontrol.txt").read_text() == "requeue 17\n"
    assert (tmp_path / "runs/dfew/checkpoints/last.pt").exists()
