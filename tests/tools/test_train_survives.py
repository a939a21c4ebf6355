"""Runs that are killed, stopped and spread over processes end as if nothing had happened."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import Answer
from shared import made_once
from training import QUICK, SMALL, indexes, log, same_tensors, start, stopped_run, tensors, wait_for

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.record.checkpoints import Checkpoints
from sciu.pipeline.train.record.saver import Saver
from sciu.pipeline.train.report.telemetry import Telemetry
from sciu.pipeline.train.report.tensorboard import EventFiles
from sciu.purification import EpochIndex, Purifier

DECIDES = ("--set", "prune_below=1.0", "--set", "max_pruned=0.3", "--set", "previews=0")
PRUNING = (*DECIDES, "--epochs", "6")
FEWER = (*DECIDES, "--epochs", "4")  # ranks take turns on two cores
TWO_RANKS = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


@pytest.fixture(scope="module")
def undisturbed(frame_faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody disturbs."""

    def train(folder: Path) -> None:
        process = start(frame_faces.folder, folder / "run", *PRUNING)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err

    return made_once(tmp_path_factory, "undisturbed", train) / "run"


def require_same(one: Path, other: Path) -> None:
    assert indexes(one) == indexes(other)
    assert same_tensors(tensors(one), tensors(other))
    assert log(one) == log(other)


def test_kills_at_any_moment_change_nothing(frame_faces: Dataset, undisturbed: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of whatever it does, three times; then to the end: same indexes, same weights, same log."""
    seed, out = int.from_bytes(os.urandom(4), "little"), tmp_path / "run"
    print(f"seed of the moments: {seed}")
    chance = random.Random(seed)
    for _ in range(3):
        process = start(frame_faces.folder, out, *PRUNING, "--resume")
        wait_for(out / "run.json", process)
        time.sleep(chance.uniform(0, 2.5))
        process.kill()
        process.communicate()
    process = start(frame_faces.folder, out, *PRUNING, "--resume")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    require_same(undisturbed, out)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_is_obeyed_after_the_step(
    frame_faces: Dataset, undisturbed: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "run"
    process = start(frame_faces.folder, out, *PRUNING)
    wait_for(out / "index/epoch_00002.json", process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert f"stopped by {number.name}; saved in epoch" in err
    assert "Traceback" not in err
    process = start(frame_faces.folder, out, "--resume", *PRUNING)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    require_same(undisturbed, out)


def test_two_processes_cannot_train_one_run(frame_faces: Dataset, tmp_path: Path) -> None:
    first = start(frame_faces.folder, tmp_path / "run", "--epochs", "200")
    try:
        wait_for(tmp_path / "run/index/epoch_00002.json", first)
        second = start(frame_faces.folder, tmp_path / "run", "--epochs", "200", "--resume")
        _, err = second.communicate(timeout=60)
        assert second.returncode == 3
        assert "Error: " in err.splitlines()[-1]
    finally:
        first.kill()
        first.communicate()


def test_a_class_without_clips_stops(
    sciu: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person drops all clips of a class while the run is stopped: it ends where it comes to that."""
    data, run = stopped_run(tmp_path)
    monkeypatch.chdir(tmp_path)
    dataset = Dataset.load(data)
    with Purifier.open(run / "purifier", recording=False) as purifier:
        for clip in dataset.ids("train").tolist():
            if dataset.labels[clip] == 0:
                purifier.pin(clip, "drop")
    answer = sciu("train", data, "--out", run, "--resume")
    assert answer.code == 1
    assert "class 'happy' must have clips to train on, but none of its" in answer.error()
    assert (run / "index/epoch_00005.json").exists()


def test_two_ranks(frame_faces: Dataset, tmp_path: Path, sciu: Callable[..., Answer]) -> None:
    """Each clip is decoded by one rank, all scores arrive, all train on the same index; one rank resumes it."""
    out = tmp_path / "run"
    process = start(frame_faces.folder, out, *FEWER, launcher=TWO_RANKS)
    wait_for(out / "index/epoch_00003.json", process)
    process.terminate()
    _, err = process.communicate(timeout=120)
    saved = torch.load(out / "checkpoints/last.pt", weights_only=True)["state"]
    assert saved["world"] == 2, err
    process = start(frame_faces.folder, out, *FEWER, "--resume")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    train = frame_faces.ids("train")
    records = log(out)
    assert [record["clips"] for record in records] == [len(EpochIndex.read(out / "index", k).ids) for k in range(1, 5)]
    assert records[0]["clips"] == len(train)
    with Purifier.open(out / "purifier", read_only=True) as purifier:
        assert all(event.scored for event in purifier.events() if event.kind == "epoch")
        assert purifier.events()[1].scored == len(train)


def test_two_ranks_stopped_in_an_epoch_end_the_same(frame_faces: Dataset, tmp_path: Path) -> None:
    runs = tmp_path / "one", tmp_path / "other"
    for out in runs:
        process = start(frame_faces.folder, out, *FEWER, launcher=TWO_RANKS)
        if out == runs[1]:
            wait_for(out / "index/epoch_00003.json", process)
            process.terminate()
            process.communicate(timeout=120)
            state = torch.load(out / "checkpoints/last.pt", weights_only=True)["state"]
            assert state["measured"] is None
            assert state["world"] == 2
            process = start(frame_faces.folder, out, *FEWER, "--resume", launcher=TWO_RANKS)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    require_same(*runs)


def test_a_rank_that_dies_ends_the_job_and_the_run_goes_on(frame_faces: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start(frame_faces.folder, out, *FEWER, launcher=TWO_RANKS)
    wait_for(out / "index/epoch_00002.json", process)
    ranks = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(ranks[-1]), signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "Error: Another rank has ended" in err
    again = start(frame_faces.folder, out, *FEWER, "--resume", launcher=TWO_RANKS)
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert len(log(out)) == 4


# ---- an end between any two steps, in this process


class Killed(BaseException):
    """What a kill is to a test in one process: nothing after it is done."""


def dying(function: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        if after:
            function(*arguments, **named)
        raise Killed

    return call


DEATHS = [
    (Saver, "save"),
    (Checkpoints, "save"),  # in a thread, while the next epoch trains
    (Checkpoints, "name"),
    (Checkpoints, "_link"),
    (Purifier, "quarantine"),
    (Purifier, "record"),
    (Purifier, "end_epoch"),
    (EpochIndex, "write"),
    (Telemetry, "report"),
    (Telemetry, "_write"),
    (EventFiles, "flush"),
]


@pytest.mark.parametrize(("owner", "name"), DEATHS, ids=[f"{owner.__name__}.{name}" for owner, name in DEATHS])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_end_between_any_two_steps_changes_nothing(
    sciu: Callable[..., Answer], frame_faces: Dataset, whole: Path, tmp_path: Path, owner: type, name: str, after: bool
) -> None:
    """In the second epoch; a clip that is gone has been found, and purification decides."""
    require_an_end_changes_nothing(sciu, frame_faces, whole, tmp_path, DECIDING, (owner, name), after=after)


@pytest.mark.parametrize(
    ("owner", "name"), [(Checkpoints, "save"), (Purifier, "end_epoch"), (EpochIndex, "write"), (Telemetry, "report")]
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_nor_where_the_loss_pulls_to_what_the_store_keeps(
    sciu: Callable[..., Answer], frame_faces: Dataset, pulled: Path, tmp_path: Path, owner: type, name: str, after: bool
) -> None:
    """The averages of the epoch that is trained again are those that it was trained with before."""
    require_an_end_changes_nothing(sciu, frame_faces, pulled, tmp_path, PULLING, (owner, name), after=after)


def require_an_end_changes_nothing(
    sciu: Callable[..., Answer],
    frame_faces: Dataset,
    whole: Path,
    tmp_path: Path,
    settings: tuple[str, ...],
    death: tuple[type, str],
    *,
    after: bool,
) -> None:
    owner, name = death
    data = without_a_clip(frame_faces, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        counted = iter([True] if name == "quarantine" else [False, True])  # there is one clip to quarantine

        def second_time(*arguments: Any, **named: Any) -> Any:
            function = dying(original, after=after) if next(counted, False) else original
            return function(*arguments, **named)

        original = getattr(owner, name)
        patch.setattr(owner, name, second_time)
        with pytest.raises(Killed):
            sciu("train", data, "--out", tmp_path / "run", *SMALL, *QUICK, *settings)
    again = sciu("train", data, "--out", tmp_path / "run", "--resume")
    assert again.code == 0, again.err
    assert same_tensors(tensors(tmp_path / "run"), tensors(whole))
    assert labels_of(tmp_path / "run") == labels_of(whole)
    assert log(tmp_path / "run") == log(whole)
    names = [{path.name for path in (run / "checkpoints").iterdir()} for run in (tmp_path / "run", whole)]
    assert names[0] == names[1]
    assert sciu("purify", "verify", tmp_path / "run").code == 0


DECIDING = (*DECIDES, "--epochs", "3")


PULLING = ("--method", "elr", "--epochs", "3")


@pytest.fixture(scope="module")
def whole(frame_faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run without an end in between."""
    return run_whole(frame_faces, tmp_path_factory, "whole", DECIDING)


@pytest.fixture(scope="module")
def pulled(frame_faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of the other method."""
    return run_whole(frame_faces, tmp_path_factory, "pulled", PULLING)


def run_whole(data: Dataset, factory: pytest.TempPathFactory, name: str, settings: tuple[str, ...]) -> Path:
    def train(folder: Path) -> None:
        process = start(without_a_clip(data, folder), folder / "run", *settings)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err

    return made_once(factory, name, train) / "run"


def without_a_clip(source: Dataset, place: Path) -> Path:
    """Copy a dataset; the files of one clip are gone."""
    shutil.copytree(source.folder, place / "data")
    copy = Dataset.load(place / "data")
    shutil.rmtree(copy.path(copy.ids("train")[3]))
    return copy.folder


def labels_of(run: Path) -> list[bytes]:
    """The published labels and targets; the lists hold the paths of the copy."""
    return [path.read_bytes() for path in sorted((run / "index").glob("*.npy"))]
