"""What a run's folder says is evaluated is what was trained there, or it is a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from shared import copy_of

from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.record.checkpoints import Checkpoints
from sciu.pipeline.train.run.trained_run import TrainedRun

CPU = torch.device("cpu")


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A run to change."""
    return copy_of(finished_run, tmp_path / "run")


def rewritten(folder: Path, **change: Any) -> None:
    """Write the last checkpoint anew."""
    kept = Checkpoints(folder / "checkpoints")
    kept.save({name: value for name, value in {**kept.load("last"), **change}.items() if name != "format"})


def evaluate(run: Path, split: str = "test") -> object:
    return TrainedRun.load(run).evaluate(CPU, split=split, views=None, progress=lambda _done, _total, _note: None)


def test_weights_of_another_run_are_not_evaluated_under_its_name(run: Path) -> None:
    rewritten(run, run="another")
    with pytest.raises(RunError, match="last.pt' must be of run [0-9a-f]+, but is of another"):
        evaluate(run)


@pytest.mark.parametrize("state", [None, [], {}, {"epoch": 1}])
def test_a_state_that_is_none_is_a_line(run: Path, state: Any) -> None:
    rewritten(run, state=state)
    with pytest.raises(RunError, match="last.pt' is damaged: state.* Remove last.pt"):
        evaluate(run)


def test_weights_of_other_sizes_are_a_line(run: Path) -> None:
    content = Checkpoints(run / "checkpoints").load("last")
    rewritten(run, model={**content["model"], "classifier.bias": torch.zeros(1)})
    with pytest.raises(RunError, match=r"last.pt' does not fit the network: model 'classifier.bias' is \[1\] float32"):
        evaluate(run)


def test_held_out_clips_that_do_not_exist_are_a_line(run: Path) -> None:
    card = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**card, "held_out": [3, 1000]}))
    with pytest.raises(RunError, match="held_out .* must be clips of .*, 0 to 27, but one is 1000. Restore"):
        evaluate(run, "validation")
