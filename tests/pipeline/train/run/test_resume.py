"""A run that was saved goes on as if nothing had been; where its plan cannot, the rest of the epoch is planned anew."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import without_groups
from small_runs import opened_run, tensors_of
from training import indexes, same_tensors, tensors

from sciu.models.backbones.tiny_lstm import TinyLstm
from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.table import Categories
from sciu.pipeline.errors import Stopped
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.loop import train
from sciu.pipeline.train.record.checkpoints import Checkpoints
from sciu.pipeline.train.record.epoch_record import Spent
from sciu.pipeline.train.record.run_state import RunState
from sciu.pipeline.train.run.resume import own_state, restore, save, statistics
from sciu.pipeline.train.run.run import Run
from sciu.pipeline.train.step.average import Average
from sciu.purification.clip_state import Status

STOPPED_AFTER = 2  # steps of 4 clips each, in the second epoch
WHY = "no face in it"


@dataclass
class AStep:
    """As much of a step as is asked for."""

    network: torch.nn.Module
    device: torch.device
    average: Average


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.needs_cuda)])
def test_it_is_on_the_host(device: str) -> None:
    """Unpickled elsewhere, a tensor of a GPU would open a context there."""
    place = torch.device(device)
    network = TinyLstm().to(place)
    own = own_state(AStep(network, place, Average(network, 0.9)))  # type: ignore[arg-type]
    assert own["statistics"].keys() >= {"cnn.0.1.running_mean", "cnn.0.1.running_var", "average.0"}
    assert {tensor.device.type for group in own.values() for tensor in group.values()} == {"cpu"}


# ---- there and back


def stop_in_mid_epoch(data: Dataset, out: Path) -> None:
    """Leave a run in the middle of its second epoch."""

    def watch(run: Run, label: str, done: int) -> None:
        run.stop.signal = signal.SIGTERM if (label, done) == ("epoch 2/2", STOPPED_AFTER) else 0

    with opened_run(data, out, watch=watch) as run, pytest.raises(Stopped):
        train(run, restore(run))


@pytest.fixture(scope="module")
def left(frame_faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset and a run of it that was stopped in mid-epoch; for copying only."""
    folder = tmp_path_factory.mktemp("left")
    shutil.copytree(frame_faces.folder, folder / "faces")
    stop_in_mid_epoch(Dataset.load(folder / "faces"), folder / "run")
    return folder


@pytest.fixture
def data(left: Path, tmp_path: Path) -> Dataset:
    """The dataset of the run `tmp_path / "run"`, which was left in mid-epoch."""
    shutil.copytree(left, tmp_path, dirs_exist_ok=True)
    return Dataset.load(tmp_path / "faces")


def change_checkpoint(run: Path, change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Write the last checkpoint anew; return what it held."""
    kept = Checkpoints(run / "checkpoints")
    content = kept.load("last")
    change(content)
    kept.save({name: value for name, value in content.items() if name != "format"})
    return content


def test_a_run_that_was_never_saved_stands_at_its_beginning(frame_faces: Dataset, tmp_path: Path) -> None:
    with opened_run(frame_faces, tmp_path / "run") as run:
        before = tensors_of(run)
        assert restore(run) == RunState(world=1)
        assert same_tensors(tensors_of(run), before)


def test_tensors_random_numbers_and_position_are_put_back(frame_faces: Dataset, tmp_path: Path) -> None:
    with opened_run(frame_faces, tmp_path / "run") as run:
        index, state = run.purifier.index(), RunState(epoch=1)
        run.step.begin(index.labels, seed=5)
        for batch in list(run.feed.batches(run.planner.training(index)))[:3]:
            run.step(batch, 0.1)
            state.step += 1
        state.spent = Spent(seconds=1.5, clips=12)
        of_test = int(frame_faces.ids("test")[0])
        run.feed.faults.update({int(index.ids[0]): "cut off", of_test: "cut off too"})
        save(run, state, index)
        run.saver.wait()
        saved, random = tensors_of(run), torch.rand(3)
    with opened_run(frame_faces, tmp_path / "run") as run:
        assert not same_tensors(tensors_of(run), saved)
        torch.manual_seed(99)
        found = restore(run)
        assert torch.equal(torch.rand(3), random)
        assert same_tensors(tensors_of(run), saved)
        assert (found.epoch, found.step, found.done, found.spent) == (1, 3, [], state.spent)
        assert found.faults == run.feed.faults == {int(index.ids[0]): "cut off"}, "a test clip is no clip of the epoch"
        assert run.step.clip_tensors.step == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"of_each_rank": []}, "damaged: IndexError"),
        ({"of_each_rank": [{"random": {}, "statistics": {}}]}, "damaged: KeyError: 'cpu'"),
        ({"of_each_rank": [{"random": {"cpu": torch.zeros(3)}, "statistics": {}}]}, "damaged: TypeError"),
        (
            {"of_each_rank": [{"random": {"cpu": torch.get_rng_state()}, "statistics": {}}]},
            "statistics .* in the network",
        ),
        ({"model": {}}, "does not fit the network: model"),
        ({"state": []}, "damaged: state must be an object"),
    ],
)
def test_a_checkpoint_that_cannot_be_put_back_is_a_line(
    data: Dataset, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    change_checkpoint(tmp_path / "run", lambda content: content.update(change))
    with opened_run(data, tmp_path / "run") as run, pytest.raises(RunError, match=f"last.pt' .*{message}"):
        restore(run)


def test_it_ends_as_it_would_have_ended(data: Dataset, tmp_path: Path) -> None:
    """With dropout, an average of the weights, and BatchNorm's statistics."""
    with opened_run(data, tmp_path / "whole") as run:
        train(run, restore(run))
    with opened_run(data, tmp_path / "run") as run:
        state = restore(run)
        assert (state.epoch, state.step) == (2, STOPPED_AFTER)
        train(run, state)
    assert same_tensors(tensors(tmp_path / "run"), tensors(tmp_path / "whole"))
    labels = [
        {name: content for name, content in indexes(tmp_path / run).items() if name.endswith(".npy")}
        for run in ("run", "whole")
    ]
    assert len(labels[0]) == 3
    assert labels[0] == labels[1]
    assert [record.spent.clips for record in state.history] == [len(data.ids("train"))] * 2


def test_each_rank_has_its_own_statistics_again(data: Dataset, tmp_path: Path) -> None:
    """The tensors are rank 0's; what differs between ranks until an epoch ends comes from each rank's own part."""

    def change(content: dict[str, Any]) -> None:
        for tensor in content["of_each_rank"][0]["statistics"].values():
            tensor.fill_(7)

    change_checkpoint(tmp_path / "run", change)
    with opened_run(data, tmp_path / "run") as run:
        restore(run)
        assert {float(value) for tensor in statistics(run.step).values() for value in tensor} == {7.0}


# ---- when the plan is another one


def delivered_after(run: Run, state: RunState) -> list[int]:
    """Train to the end; return the clips of the second epoch that were fed, in their order."""
    fed: list[int] = []
    run.step.network.register_forward_pre_hook(lambda network, _given: fed.append(0) if network.training else None)
    plans: list[list[int]] = []
    batches = run.feed._batches

    def noted(plan: Any, start: int) -> Any:
        if plan.training:
            plans.append(plan.samples.ids[plan.offsets[start] :].tolist())
        return batches(plan, start)

    run.feed._batches = noted  # type: ignore[method-assign]
    train(run, state)
    assert len(plans) == 1
    assert len(fed) == -(-len(plans[0]) // run.settings.batch_size)
    return plans[0]


def test_with_the_same_plan_it_goes_on_at_its_step(data: Dataset, tmp_path: Path) -> None:
    with opened_run(data, tmp_path / "run") as run:
        plan = run.planner.training(run.purifier.index())
        fed = delivered_after(run, restore(run))
    assert fed == plan.samples.ids[plan.offsets[STOPPED_AFTER] :].tolist()


def test_another_number_of_ranks_plans_the_rest_anew(data: Dataset, tmp_path: Path) -> None:
    """It was saved by two ranks, and this one goes on alone: with the clips that neither has done."""

    def of_two(content: dict[str, Any]) -> None:
        content["state"]["world"] = 2
        content["of_each_rank"] = [content["of_each_rank"][0]] * 2

    content = change_checkpoint(tmp_path / "run", of_two)
    done = content["board"]["seen"][:-1].nonzero().squeeze(1).tolist()
    assert len(done) == 4 * STOPPED_AFTER
    with opened_run(data, tmp_path / "run") as run:
        index, state = run.purifier.index(), restore(run)
        assert (state.done, state.step, state.world) == (done, 0, 1)
        assert run.step.clip_tensors.step == 0
        fed = delivered_after(run, state)
    assert sorted(fed) == np.setdiff1d(index.ids, done).tolist()
    assert state.history[-1].spent.clips == len(index.ids)


def test_what_the_dataset_quarantined_meanwhile_is_left_out(data: Dataset, tmp_path: Path) -> None:
    done = Checkpoints(tmp_path / "run/checkpoints").load("last")["board"]["seen"][:-1].nonzero().squeeze(1).tolist()
    bad = int(np.setdiff1d(data.ids("train"), done)[3])
    reasons = [WHY if clip == bad else None for clip in range(len(data))]
    data.save_clips(data.clips.replace(quarantine=Categories.of(reasons)))
    told: list[str] = []
    with opened_run(data, tmp_path / "run", say=told.append) as run:
        index, state = run.purifier.index(), restore(run)
        assert (state.done, state.step) == (done, 0)
        assert bad in index.ids, "this epoch's index is published already"
        fed = delivered_after(run, state)
        assert run.purifier.ask(lambda purifier: purifier.history(bad)[-1].event.why) == WHY
        assert run.purifier.ask(lambda purifier: bool(purifier.states().has(Status.QUARANTINED)[bad]))
        assert bad not in run.purifier.index().ids
    assert any("1 clips" in line and "quarantine" in line for line in told)
    assert sorted(fed) == np.setdiff1d(index.ids, [*done, bad]).tolist()
    assert state.history[-1].spent.clips == len(index.ids) - 1


@pytest.mark.parametrize("world", [1, 2])
def test_an_epoch_that_was_measured_needs_no_plan(data: Dataset, tmp_path: Path, world: int) -> None:
    with opened_run(data, tmp_path / "run") as run:
        train(run, restore(run))

    def change(content: dict[str, Any]) -> None:
        content["state"]["world"] = world
        content["state"]["left_out"] = [3]

    change_checkpoint(tmp_path / "run", change)
    with opened_run(data, tmp_path / "run") as run:
        state = restore(run)
    assert state.measured is not None
    assert state.done == []
    assert state.step > 0


@pytest.mark.parametrize("trained", [False, True])
def test_a_checkpoint_of_an_earlier_version_left_nothing_out(data: Dataset, tmp_path: Path, trained: bool) -> None:
    """Its plan has the clips that were quarantined since: the rest of the epoch is planned anew, no clip is lost."""
    change_checkpoint(tmp_path / "run", lambda content: content["state"].pop("left_out"))
    with opened_run(data, tmp_path / "run") as run:
        state = restore(run)
        assert (state.step, state.done) == (STOPPED_AFTER, [])
        seen = run.step.clip_tensors.seen_N[:-1].nonzero().squeeze(1).tolist()
    rest = np.setdiff1d(data.ids("train"), seen)
    bad = int((seen if trained else rest)[0])
    reasons = ["cut off" if clip == bad else None for clip in range(len(data))]
    data.save_clips(data.clips.replace(quarantine=Categories.of(reasons)))
    with opened_run(data, tmp_path / "run") as run:
        state = restore(run)
        assert (state.step, state.done) == (0, seen)
        train(run, state)
    trained_on = sorted({*data.ids("train").tolist()} - ({bad} if not trained else set()))
    assert state.history[-1].spent.clips == len(trained_on)


def test_a_run_whose_validation_clips_are_all_quarantined_is_refused(data: Dataset, tmp_path: Path) -> None:
    data = without_groups(data, tmp_path / "ungrouped")
    with opened_run(data, tmp_path / "chooses", validation=0.5) as run:
        held_out = run.held_out.tolist()
        assert held_out
    data.save_clips(
        data.clips.replace(quarantine=Categories.of(["cut off" if k in held_out else None for k in range(len(data))]))
    )
    with opened_run(data, tmp_path / "chooses", validation=0.5) as run, pytest.raises(RunError, match="validation"):
        restore(run)


# ---- what is refused, or told


def test_a_checkpoint_of_another_run_is_refused_and_touches_nothing(data: Dataset, tmp_path: Path) -> None:
    with opened_run(data, tmp_path / "other") as run:
        before = tensors_of(run)
        shutil.copytree(tmp_path / "run/checkpoints", tmp_path / "other/checkpoints")
        with pytest.raises(RunError, match=run.card.run):
            restore(run)
        assert same_tensors(tensors_of(run), before)


def test_another_precision_is_told(data: Dataset, tmp_path: Path) -> None:
    """`auto` may choose another one on another machine."""
    change_checkpoint(tmp_path / "run", lambda content: content.update(amp="fp16"))
    told: list[str] = []
    with opened_run(data, tmp_path / "run", say=told.append) as run:
        assert restore(run).step == STOPPED_AFTER
    assert any("fp16" in line for line in told)
