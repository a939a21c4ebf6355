"""A run ends early once the clips that choose its best epoch have not improved for a while, and goes on if it is to."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import Answer, without_groups
from shared import copy_of
from small_runs import opened_run
from training import indexes, log, same_tensors, tensors

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.errors import Stopped
from sciu.pipeline.train import loop
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.evaluation.confusion import Confusion
from sciu.pipeline.train.purify import cleaned_labels
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.run.resume import restore
from sciu.pipeline.train.run.run import Run

RIGHT = [3, 5, 5, 4, 5, 6, 2, 2]  # of ten clips, epoch by epoch: the second is the best until the sixth
EPOCHS = len(RIGHT)


class Found:
    """What an evaluation found, as much of it as the loop asks for."""

    def __init__(self, right: int) -> None:
        self.confusion, self.asked = Confusion.of(np.zeros(10, int), np.arange(10) // right, 7), 10


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let evaluations find what the script says of the epoch."""

    def found(_step: Any, _feed: Any, _planner: Any, ids: Any, *, progress: Any, **_: Any) -> Found:
        progress(1, 1, "")
        return Found(RIGHT[EPOCH[0] - 1])

    def measured(run: Run, state: Any) -> Any:
        EPOCH[:] = [state.epoch]
        return measure(run, state)

    measure = loop._measure
    monkeypatch.setattr(loop, "evaluate", found)
    monkeypatch.setattr(loop, "_measure", measured)


EPOCH = [0]


def go_on(data: Dataset, out: Path, *, stop_in: int = 0, **settings: Any) -> list[str]:
    """Train, to the end or into an epoch; return what is said."""
    said: list[str] = []

    def watch(run: Run, label: str, done: int) -> None:
        run.stop.signal = signal.SIGTERM if (label, done) == (f"epoch {stop_in}/{EPOCHS}", 2) else 0

    with opened_run(data, out, watch=watch, say=said.append, **{"epochs": EPOCHS, **settings}) as run:
        state = restore(run)
        if stop_in:
            with pytest.raises(Stopped):
                loop.train(run, state)
        else:
            loop.train(run, state)
    return said


def summary(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return content


@pytest.mark.parametrize(("patience", "done", "ended"), [(0, 8, "epochs"), (1, 3, "patience"), (3, 5, "patience")])
def test_it_ends_when_its_patience_does(
    frame_faces: Dataset, tmp_path: Path, patience: int, done: int, ended: str
) -> None:
    go_on(frame_faces, tmp_path / "run", patience=patience)
    found = summary(tmp_path / "run")
    assert (found["epochs_done"], found["ended"]) == (done, ended)
    assert found["best_epoch"] == (6 if done == 8 else 2)


def test_only_evaluations_count(frame_faces: Dataset, tmp_path: Path) -> None:
    """Of every second epoch: 5, 4, and 6 of ten are right, then 2."""
    go_on(frame_faces, tmp_path / "run", patience=2, evaluate_every=2)
    assert (summary(tmp_path / "run")["epochs_done"], summary(tmp_path / "run")["ended"]) == (8, "epochs")
    go_on(frame_faces, tmp_path / "other", patience=1, evaluate_every=2)
    assert (summary(tmp_path / "other")["epochs_done"], summary(tmp_path / "other")["ended"]) == (4, "patience")


def test_a_stop_in_between_changes_nothing(frame_faces: Dataset, tmp_path: Path) -> None:
    go_on(frame_faces, tmp_path / "whole", patience=3)
    for epoch in (2, 4):
        go_on(frame_faces, tmp_path / "run", stop_in=epoch, patience=3)
        assert summary(tmp_path / "run")["ended"] is None
    go_on(frame_faces, tmp_path / "run", patience=3)
    assert indexes(tmp_path / "run") == indexes(tmp_path / "whole")
    assert same_tensors(tensors(tmp_path / "run"), tensors(tmp_path / "whole"))
    assert log(tmp_path / "run") == log(tmp_path / "whole")


def test_a_run_that_has_ended_early_trains_no_more(
    frame_faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on(frame_faces, tmp_path / "run", patience=3)
    before = indexes(tmp_path / "run")
    monkeypatch.setattr(loop, "learn", lambda *_: pytest.fail("it has ended"))
    said = go_on(frame_faces, tmp_path / "run", patience=3)
    assert "the run has ended after 5 epochs, by --patience 3; --resume with a longer one goes on" in said
    assert indexes(tmp_path / "run") == before
    assert summary(tmp_path / "run")["epochs_done"] == 5


def test_more_patience_goes_on_and_is_kept(frame_faces: Dataset, tmp_path: Path) -> None:
    """To the same end as a run that was as patient from the beginning."""
    go_on(frame_faces, tmp_path / "whole", patience=4)
    go_on(frame_faces, tmp_path / "run", patience=3)
    go_on(frame_faces, tmp_path / "run", patience=4)
    assert (summary(tmp_path / "run")["epochs_done"], summary(tmp_path / "run")["ended"]) == (8, "epochs")
    assert RunFolder(tmp_path / "run").require().settings.patience == 4
    assert same_tensors(tensors(tmp_path / "run"), tensors(tmp_path / "whole"))
    assert log(tmp_path / "run") == log(tmp_path / "whole")


def test_it_says_which_clips_it_looks_at(frame_faces: Dataset, tmp_path: Path) -> None:
    (line,) = [each for each in go_on(frame_faces, tmp_path / "run", patience=1) if each.startswith("patience: ")]
    assert "1; the run ends after so many evaluations of the test clips" in line
    assert "flatters" in line
    data = without_groups(frame_faces, tmp_path / "data")
    said = go_on(data, tmp_path / "other", patience=1, validation=0.5)
    (line,) = [each for each in said if each.startswith("patience: ")]
    assert line.endswith("of the validation clips without a better one")
    assert not [each for each in go_on(frame_faces, tmp_path / "without") if each.startswith("patience: ")]


def test_its_labels_are_used_once_it_has_ended(frame_faces: Dataset, tmp_path: Path) -> None:
    go_on(frame_faces, tmp_path / "run", stop_in=4, patience=3)
    with pytest.raises(RunError, match=f"is in epoch 4 of {EPOCHS}. --resume it first"):
        cleaned_labels(RunFolder(tmp_path / "run"), frame_faces, 1)
    go_on(frame_faces, tmp_path / "run", patience=3)
    labels = cleaned_labels(RunFolder(tmp_path / "run"), frame_faces, 1)
    assert np.array_equal(np.flatnonzero(labels >= 0), frame_faces.ids("train"))
    copy_of(tmp_path / "run", tmp_path / "longer")
    go_on(frame_faces, tmp_path / "longer", stop_in=6, patience=0)
    with pytest.raises(RunError, match=f"is in epoch 6 of {EPOCHS}"):
        cleaned_labels(RunFolder(tmp_path / "longer"), frame_faces, 1)


def test_the_command_says_why_it_ended(sciu: Callable[..., Answer], frame_faces: Dataset, tmp_path: Path) -> None:
    go_on(frame_faces, tmp_path / "run", stop_in=2, patience=3)
    answer = sciu("train", frame_faces.folder, "--out", tmp_path / "run", "--resume", "--patience", 1)
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[:2] == [
        f"last epoch 3: WAR {RIGHT[2] / 10:.2%}  UAR {RIGHT[2] / 10:.2%}",
        "ended early: nothing better since epoch 2 (patience 1)",
    ]
