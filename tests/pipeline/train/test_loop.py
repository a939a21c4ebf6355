"""The loop does things in an order in which nothing is lost: what is decided was saved, what is told was decided."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import without_groups
from small_runs import opened_run, tensors_of
from training import indexes, same_tensors, tensors

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.errors import Stopped
from sciu.pipeline.train import loop
from sciu.pipeline.train.errors import TrainError
from sciu.pipeline.train.loop import dry_run, train
from sciu.pipeline.train.record.run_state import RunState
from sciu.pipeline.train.run.resume import restore
from sciu.pipeline.train.run.run import Run

FINAL: dict[str, Any] = {"epochs": 1}


def steps_of(run: Run) -> int:
    """How many steps the first epoch has."""
    return -(-len(run.purifier.index().ids) // run.settings.batch_size)


def train_whole(data: Dataset, out: Path, **settings: Any) -> None:
    """Train without a disturbance."""
    with opened_run(data, out, **settings) as run:
        train(run, restore(run))


def poison(run: Run) -> None:
    """Make every loss from now on something that is no number."""
    with torch.no_grad():
        next(run.step.network.parameters()).fill_(torch.nan)


# ---- the order of things


def test_an_epoch_is_learnt_measured_saved_named_decided_and_told(
    frame_faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The validation clips, which choose the best epoch, are looked at before the test clips."""
    events: list[str] = []

    def watch(_run: Run, label: str, _done: int) -> None:
        if events[-1:] != [label]:
            events.append(label)

    def listen(name: str) -> None:
        work = getattr(loop, name)

        def heard(*given: Any) -> Any:
            events.append(name)
            return work(*given)

        monkeypatch.setattr(loop, name, heard)

    def say(line: str) -> None:
        events.extend(["told"] if line.startswith("epoch ") else [])

    for name in ("publish_index", "save", "name_checkpoint", "close_epoch"):
        listen(name)
    settings: dict[str, Any] = {"epochs": 3, "evaluate_every": 2, "validation": 0.5}
    data = without_groups(frame_faces, tmp_path / "data")
    with opened_run(data, tmp_path / "run", watch=watch, say=say, **settings) as run:
        train(run, restore(run))
    ended = ["save", "name_checkpoint", "close_epoch", "told"]
    assert events == [
        "publish_index",
        *["epoch 1/3", *ended],
        *["epoch 2/3", "validation", "test", *ended],
        *["epoch 3/3", "validation", "test", *ended],
    ]


def test_what_is_told_was_decided_and_what_is_decided_was_saved(frame_faces: Dataset, tmp_path: Path) -> None:
    found: list[tuple[Any, ...]] = []

    def say(line: str) -> None:
        if line.startswith("epoch "):
            run.saver.wait()
            saved = run.checkpoints.load("last")["state"]
            found.append((saved["epoch"], saved["measured"] is not None, run.purifier.index().epoch))

    with opened_run(frame_faces, tmp_path / "run", say=say) as run:
        state = restore(run)
        train(run, state)
    assert found == [(1, True, 2), (2, True, 3)]
    assert (state.epoch, [record.epoch for record in state.history]) == (3, [1, 2])


def test_the_learning_rate_goes_on_within_an_epoch(frame_faces: Dataset, tmp_path: Path) -> None:
    rates: list[float] = []

    def watch(run: Run, label: str, _done: int) -> None:
        if label.startswith("epoch"):
            rates.append(float(run.step.optimiser.param_groups[0]["lr"]))

    with opened_run(frame_faces, tmp_path / "run", watch=watch) as run:
        schedule, steps = run.settings.lr_schedule(), steps_of(run)
        train(run, restore(run))
    assert rates == pytest.approx([schedule.lr(epoch + step / steps) for epoch in (0, 1) for step in range(steps)])


def test_an_epoch_in_numbers(frame_faces: Dataset, tmp_path: Path) -> None:
    """Its clips are those of the index, and it is the best until another one is."""
    with opened_run(frame_faces, tmp_path / "run", **FINAL) as run:
        state = restore(run)
        train(run, state)
        (record,) = state.history
    assert record.spent.clips == len(frame_faces.ids("train"))
    assert record.test is not None
    assert record.test.clips == len(frame_faces.ids("test"))
    assert record.validation is None
    assert (record.epoch, record.lr) == (1, 0.1)
    assert 0 < record.loss < 20
    assert 0 <= record.accuracy <= 1
    assert state.best is not None
    assert (state.best.epoch, state.best.score) == (1, record.test.war)


def test_a_run_killed_between_saving_and_deciding_learns_nothing_twice(
    frame_faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_whole(frame_faces, tmp_path / "whole")

    def killed(*_: object) -> None:
        raise InterruptedError

    with opened_run(frame_faces, tmp_path / "run") as run, monkeypatch.context() as patch:
        patch.setattr(loop, "close_epoch", killed)
        with pytest.raises(InterruptedError):
            train(run, restore(run))
        run.saver.wait()
    labels: list[str] = []
    with opened_run(frame_faces, tmp_path / "run", watch=lambda _run, label, _done: labels.append(label)) as run:
        train(run, restore(run))
    assert labels[0] == "epoch 2/2", "nothing of the first is learnt or evaluated again"
    assert indexes(tmp_path / "run") == indexes(tmp_path / "whole")
    assert same_tensors(tensors(tmp_path / "run"), tensors(tmp_path / "whole"))


# ---- stopping


def test_a_stop_in_the_middle_of_an_epoch_takes_effect_after_the_step(frame_faces: Dataset, tmp_path: Path) -> None:
    seen: list[int] = []

    def watch(run: Run, label: str, done: int) -> None:
        if label == "epoch 2/2":
            seen.append(done)
            run.stop.signal = signal.SIGINT if done == 2 else 0

    with opened_run(frame_faces, tmp_path / "run", watch=watch) as run:
        state = restore(run)
        with pytest.raises(Stopped) as stopped:
            train(run, state)
        assert stopped.value.number == signal.SIGINT
        assert run.purifier.index().epoch == 2
        now = tensors_of(run)
    assert seen == [1, 2]
    saved = run.checkpoints.load("last")
    found = RunState.from_json(saved["state"])
    assert (found.epoch, found.step, found.measured) == (2, 2, None)
    assert found.spent.clips == 2 * 4
    assert found.spent.seconds > 0
    assert len(found.history) == 1
    assert all(torch.equal(now[f"model.{name}"], tensor) for name, tensor in saved["model"].items())
    assert run.checkpoints.epochs() == [1], "an epoch that has not ended has no file of its own"


def test_a_stop_during_an_evaluation_keeps_what_was_learnt(frame_faces: Dataset, tmp_path: Path) -> None:
    """The evaluation is done again, the epoch is not, and its clips are counted once."""
    train_whole(frame_faces, tmp_path / "whole", **FINAL)

    def watch(run: Run, label: str, _done: int) -> None:
        run.stop.signal = signal.SIGTERM if label == "test" else 0

    with opened_run(frame_faces, tmp_path / "run", watch=watch, **FINAL) as run:
        state, steps = restore(run), steps_of(run)
        with pytest.raises(Stopped):
            train(run, state)
    saved = RunState.from_json(run.checkpoints.load("last")["state"])
    assert (saved.epoch, saved.step, saved.measured) == (1, steps, None)
    labels: set[str] = set()
    again: dict[str, Any] = {**FINAL, "watch": lambda _run, label, _done: labels.add(label)}
    with opened_run(frame_faces, tmp_path / "run", **again) as run:
        state = restore(run)
        train(run, state)
    assert labels == {"test"}
    assert state.history[0].spent.clips == len(frame_faces.ids("train"))
    assert same_tensors(tensors(tmp_path / "run"), tensors(tmp_path / "whole"))
    lines = [json.loads((tmp_path / name / "log.jsonl").read_text()) for name in ("run", "whole")]
    assert lines[0]["test"] == lines[1]["test"]


# ---- a loss that is no number


@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("stopped", [False, True])
def test_a_loss_that_is_no_number_names_epoch_step_and_clips(
    frame_faces: Dataset, tmp_path: Path, epoch: int, stopped: bool
) -> None:
    """Also where a stop is asked for meanwhile: such weights are never saved."""

    def watch(run: Run, label: str, done: int) -> None:
        if (label, done) == (f"epoch {epoch}/2", 2):
            poison(run)
        elif (label, done) == (f"epoch {epoch}/2", 4) and stopped:
            run.stop.signal = signal.SIGTERM

    with opened_run(frame_faces, tmp_path / "run", watch=watch) as run:
        state = restore(run)
        with pytest.raises(TrainError, match="finite") as error:
            train(run, state)
        clips = run.planner.training(run.purifier.index()).step(2).ids.tolist()
        run.saver.wait()
    assert f"epoch {epoch}, step 3, clips {clips}" in str(error.value)
    assert run.checkpoints.epochs() == [*range(1, epoch)]
    assert (run.checkpoints.latest() is None) == (epoch == 1)
    if epoch == 2:
        assert RunState.from_json(run.checkpoints.load("last")["state"]).measured is not None


def test_a_long_epoch_does_not_go_on_to_its_end(
    frame_faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss is looked at now and then: each look waits for a GPU."""
    monkeypatch.setattr(loop, "_STEPS_BETWEEN_CHECKS", 2)
    seen: list[int] = []

    def watch(run: Run, _label: str, done: int) -> None:
        seen.append(done)
        if done == 1:
            poison(run)

    with opened_run(frame_faces, tmp_path / "run", watch=watch) as run:
        assert steps_of(run) > 3
        with pytest.raises(TrainError, match="step 2, clips"):
            train(run, restore(run))
    assert seen == [1]


# ---- a dry run


def test_a_dry_run_takes_a_step_and_changes_nothing(frame_faces: Dataset, tmp_path: Path) -> None:
    looks: list[int] = []
    with opened_run(frame_faces, tmp_path / "run") as run:
        run.step.network.register_forward_hook(lambda _network, given, _output: looks.append(len(given[0])))
        before = tensors_of(run)
        assert dry_run(run) > 0
        assert looks == [4]
        assert same_tensors(tensors_of(run), before)
        assert run.purifier.index().epoch == 1
        assert run.checkpoints.latest() is None
        assert restore(run) == RunState(world=1)
        train(run, restore(run))
    train_whole(frame_faces, tmp_path / "whole")
    assert same_tensors(tensors(tmp_path / "run"), tensors(tmp_path / "whole"))


def test_a_memory_that_is_full_is_told_in_a_dry_run(frame_faces: Dataset, tmp_path: Path) -> None:
    def fill(*_: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    with opened_run(frame_faces, tmp_path / "run") as run:
        run.step.network.register_forward_hook(fill)
        with pytest.raises(TrainError, match="4 clips x 2 frames.*--batch-size 2"):
            dry_run(run)
