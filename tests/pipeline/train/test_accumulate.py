"""Batches are accumulated in the loop: whole groups, the rest of an epoch, and the same again after a stop."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import opened_run
from training import indexes, log, same_tensors, tensors

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.errors import SettingError, Stopped
from sciu.pipeline.train.config.choices import choose_cuda_graph
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.loop import train
from sciu.pipeline.train.run.resume import restore
from sciu.pipeline.train.run.run import Run

GROUP = 4  # batches of four clips; an epoch has six of them


def train_whole(data: Dataset, out: Path, **settings: Any) -> list[float]:
    """Train to the end; return the rates of the steps that the optimiser took."""
    rates: list[float] = []
    with opened_run(data, out, accumulate=GROUP, **settings) as run:
        run.step.optimiser.register_step_post_hook(
            lambda optimiser, *_: rates.append(float(optimiser.param_groups[0]["lr"]))
        )
        assert len(run.planner.training(run.purifier.index()).samples.ids) > GROUP * 4
        train(run, restore(run))
    return rates


def test_the_rest_of_an_epoch_is_a_group_and_each_has_the_rate_of_its_first_batch(
    frame_faces: Dataset, tmp_path: Path
) -> None:
    rates = train_whole(frame_faces, tmp_path / "run")
    schedule, steps = Settings(epochs=2, lr=0.1).lr_schedule(), -(-len(frame_faces.ids("train")) // 4)
    assert steps % GROUP
    assert rates == pytest.approx([schedule.lr(k + step / steps) for k in (0, 1) for step in range(0, steps, GROUP)])


@pytest.mark.parametrize("asked_after", [1, 3, 4, 5])
def test_a_stop_waits_for_the_group_and_changes_nothing(frame_faces: Dataset, tmp_path: Path, asked_after: int) -> None:
    """What a group has accumulated is in no checkpoint."""
    train_whole(frame_faces, tmp_path / "whole")

    def watch(run: Run, label: str, done: int) -> None:
        if (label, done) == ("epoch 2/2", asked_after):
            run.stop.signal = signal.SIGTERM

    with opened_run(frame_faces, tmp_path / "run", watch=watch, accumulate=GROUP) as run:
        state = restore(run)
        with pytest.raises(Stopped):
            train(run, state)
        steps = len(range(0, len(frame_faces.ids("train")), 4))
        assert state.step == min(-(-asked_after // GROUP) * GROUP, steps)
    train_whole(frame_faces, tmp_path / "run")
    assert indexes(tmp_path / "run") == indexes(tmp_path / "whole")
    assert same_tensors(tensors(tmp_path / "run"), tensors(tmp_path / "whole"))
    assert log(tmp_path / "run") == log(tmp_path / "whole")


def test_it_needs_a_step_that_is_not_captured() -> None:
    gpu = torch.device("cuda", 0)
    assert choose_cuda_graph("auto", gpu, accumulate=1).value == "on"
    choice = choose_cuda_graph("auto", gpu, accumulate=2)
    assert (choice.value, choice.reason[:18]) == ("off", "only one batch in ")
    with pytest.raises(SettingError, match="cuda_graph must be off or auto with --accumulate 2, but is on"):
        Settings(cuda_graph="on", accumulate=2)
