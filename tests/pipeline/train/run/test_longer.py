"""A run goes on for more epochs than it was begun with: what has ended stays, and what follows is a longer run's."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared import copy_of
from small_runs import opened_run
from training import Sciu, indexes, log, same_tensors, stopped_run, tensors, train

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.errors import Stopped
from sciu.pipeline.train import loop
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.record.run_card import DatasetCard, Length, RunCard
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.run.resume import restore
from sciu.pipeline.train.run.run import Run
from sciu.purification import Auto, Purifier

AUTO: dict[str, Any] = {"method": "auto"}


def go_on(data: Dataset, out: Path, **settings: Any) -> list[str]:
    """Begin a run, or go on with it, to its end; return what is said of its length."""
    said: list[str] = []
    with opened_run(data, out, say=said.append, **settings) as run:
        loop.train(run, restore(run))
    return [line for line in said if line.startswith("epochs: ")]


def stop_in(data: Dataset, out: Path, epoch: int, steps: int, **settings: Any) -> None:
    """Leave a run after some steps of an epoch."""

    def watch(run: Run, label: str, done: int) -> None:
        run.stop.signal = signal.SIGTERM if (label.startswith(f"epoch {epoch}/"), done) == (True, steps) else 0

    with opened_run(data, out, watch=watch, **settings) as run, pytest.raises(Stopped):
        loop.train(run, restore(run))


def rates(run: Path) -> list[float]:
    """The learning rates at the beginning of the epochs."""
    return [record["rate"] for record in log(run)]


def require_same(one: Path, other: Path) -> None:
    """The same weights and the same decisions; the lists hold nothing that differs."""
    assert indexes(one) == indexes(other)
    assert same_tensors(tensors(one), tensors(other))
    assert log(one) == log(other)


def lengths(run: Path) -> list[tuple[int, int]]:
    """What the card says: from which epoch on the run was to have how many."""
    return [(each.from_epoch, each.epochs) for each in RunFolder(run).require().lengths]


# ---- what it means


def test_what_has_ended_stays_and_the_rest_is_scheduled_as_of_a_longer_run(
    frame_faces: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert go_on(frame_faces, out, **AUTO) == []
    before = indexes(out)
    assert go_on(frame_faces, out, **AUTO, epochs=4) == [
        "epochs: 4 instead of 2; from epoch 3 on the learning rate is that of a run of 4"
    ]
    two, four = (Settings(epochs=epochs, lr=0.1).lr_schedule() for epochs in (2, 4))
    assert rates(out) == pytest.approx([two.lr(0), two.lr(1), four.lr(2), four.lr(3)])
    assert [record["epoch"] for record in log(out)] == [1, 2, 3, 4]
    assert {name: content for name, content in indexes(out).items() if name in before} == before
    assert lengths(out) == [(1, 2), (3, 4)]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["epochs_done"] == 4


@pytest.mark.parametrize("schedule", ["constant", "step", "exponential"])
def test_where_the_rate_does_not_depend_on_the_length_it_is_the_longer_run_bit_for_bit(
    frame_faces: Dataset, tmp_path: Path, schedule: str
) -> None:
    for out, first in (("run", 1), ("whole", 3)):
        go_on(frame_faces, tmp_path / out, schedule=schedule, decay_every=1.0, epochs=first)
    go_on(frame_faces, tmp_path / "run", schedule=schedule, decay_every=1.0, epochs=3)
    require_same(tmp_path / "run", tmp_path / "whole")


def test_the_policy_stays_that_of_the_run_as_it_was_begun(frame_faces: Dataset, tmp_path: Path) -> None:
    """`auto` acts after a fifth of the epochs: of 6 after 2, and of 11 it would be after 3."""
    go_on(frame_faces, tmp_path / "run", **AUTO, epochs=6)
    go_on(frame_faces, tmp_path / "run", **AUTO, epochs=11)
    with Purifier.open(tmp_path / "run/purifier", read_only=True) as purifier:
        assert isinstance(purifier.policy, Auto)
        assert (purifier.policy.act_after, purifier.epoch) == (2, 12)


def test_an_epoch_that_is_under_way_ends_as_it_began(frame_faces: Dataset, tmp_path: Path) -> None:
    stop_in(frame_faces, tmp_path / "run", 1, 2)
    go_on(frame_faces, tmp_path / "run", epochs=4)
    assert lengths(tmp_path / "run") == [(1, 2), (2, 4)]
    two, four = (Settings(epochs=epochs, lr=0.1).lr_schedule() for epochs in (2, 4))
    assert rates(tmp_path / "run") == pytest.approx([two.lr(0), four.lr(1), four.lr(2), four.lr(3)])


def test_a_run_without_a_checkpoint_is_longer_from_its_beginning(frame_faces: Dataset, tmp_path: Path) -> None:
    """Its policy is in the store already."""
    with opened_run(frame_faces, tmp_path / "run", **AUTO, epochs=6):
        pass
    go_on(frame_faces, tmp_path / "run", **AUTO, epochs=11)
    assert lengths(tmp_path / "run") == [(1, 6), (1, 11)]
    assert rates(tmp_path / "run") == pytest.approx([*map(Settings(epochs=11, lr=0.1).lr_schedule().lr, range(11))])


def test_a_run_may_become_longer_again(frame_faces: Dataset, tmp_path: Path) -> None:
    for epochs in (1, 2, 4):
        said = go_on(frame_faces, tmp_path / "run", epochs=epochs)
    assert lengths(tmp_path / "run") == [(1, 1), (2, 2), (3, 4)]
    assert [line for line in said if line.startswith("epochs: ")] == [
        "epochs: 4 instead of 2; from epoch 3 on the learning rate is that of a run of 4"
    ]


def test_the_settings_for_another_run_say_so_too(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    go_on(frame_faces, tmp_path / "run")
    go_on(frame_faces, tmp_path / "run", epochs=3)
    shown = sciu("train", frame_faces.folder, "--config", tmp_path / "run/settings.toml", "--print-config").out
    assert "epochs = 3 " in shown
    line = next(each for each in (tmp_path / "run/settings.toml").read_text().splitlines() if each.startswith("epochs"))
    assert "# --epochs, from epoch 3 on." in line


# ---- exactly, whatever comes between


@pytest.mark.parametrize("place", [(3, 2), (4, 1)])
def test_a_stop_in_between_changes_nothing(frame_faces: Dataset, tmp_path: Path, place: tuple[int, int]) -> None:
    """Once it is longer, the run is resumed as any other, with or without the option."""
    go_on(frame_faces, tmp_path / "run")
    copy_of(tmp_path / "run", tmp_path / "whole")
    go_on(frame_faces, tmp_path / "whole", epochs=4)
    stop_in(frame_faces, tmp_path / "run", *place, epochs=4)
    go_on(frame_faces, tmp_path / "run", epochs=4)
    require_same(tmp_path / "run", tmp_path / "whole")


def test_a_kill_before_its_first_step_changes_nothing(
    frame_faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on(frame_faces, tmp_path / "run")
    copy_of(tmp_path / "run", tmp_path / "whole")
    go_on(frame_faces, tmp_path / "whole", epochs=4)

    def killed(*_: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as patch, pytest.raises(InterruptedError):
        patch.setattr(loop, "learn", killed)
        go_on(frame_faces, tmp_path / "run", epochs=4)
    go_on(frame_faces, tmp_path / "run", epochs=4)
    require_same(tmp_path / "run", tmp_path / "whole")


def test_an_older_checkpoint_goes_the_same_way_again(frame_faces: Dataset, tmp_path: Path) -> None:
    """The epochs that are trained again have the learning rates that they had."""
    go_on(frame_faces, tmp_path / "run", epochs=2)
    go_on(frame_faces, tmp_path / "run", epochs=3, keep=5)
    copy_of(tmp_path / "run", tmp_path / "whole")
    for name in ("last", "epoch_00002", "epoch_00003"):
        (tmp_path / f"run/checkpoints/{name}.pt").unlink()
    go_on(frame_faces, tmp_path / "run", epochs=3, keep=5)
    require_same(tmp_path / "run", tmp_path / "whole")


def test_what_the_store_has_decided_is_not_scheduled_anew(frame_faces: Dataset, tmp_path: Path) -> None:
    """The newest checkpoint is lost, and the one before it is of an epoch whose successors were decided already."""
    go_on(frame_faces, tmp_path / "run", epochs=3, keep=5)
    for name in ("last", "epoch_00002", "epoch_00003"):
        (tmp_path / f"run/checkpoints/{name}.pt").unlink()
    go_on(frame_faces, tmp_path / "run", epochs=5, keep=5)
    assert lengths(tmp_path / "run") == [(1, 3), (4, 5)]
    three, five = (Settings(epochs=epochs, lr=0.1).lr_schedule() for epochs in (3, 5))
    assert rates(tmp_path / "run") == pytest.approx([*map(three.lr, (0, 1, 2)), *map(five.lr, (3, 4))])


def test_a_run_of_an_earlier_version_goes_on(sciu: Sciu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, run = stopped_run(tmp_path, "auto")
    monkeypatch.chdir(tmp_path)
    answer = sciu("train", data, "--out", run, "--resume", "--epochs", 7, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["epochs_done"] == 7
    assert "epochs: 7 instead of 6; from epoch 5 on" in answer.err
    assert sciu("purify", "verify", run).code == 0


# ---- as its users meet it


def test_it_is_evaluated_and_its_labels_are_used_once_it_has_ended(
    sciu: Sciu, frame_faces: Dataset, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_of(finished_run, tmp_path / "run")

    def stopped(*_: object) -> None:
        raise Stopped(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "learn", stopped)
        assert sciu("train", frame_faces.folder, "--out", tmp_path / "run", "--resume", "--epochs", 3).code == 143
    retrain = ("--method", "plain", "--labels-from", tmp_path / "run")
    assert "is in epoch 3 of 3. --resume it first" in train(sciu, frame_faces, tmp_path / "no", *retrain).error()
    assert sciu("eval", tmp_path / "run", "--json").json["epoch"] == 3
    ended = sciu("train", frame_faces.folder, "--out", tmp_path / "run", "--resume", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["epochs_done"] == 3
    assert sciu("eval", tmp_path / "run", "--json").json["epoch"] == 3
    assert train(sciu, frame_faces, tmp_path / "yes", *retrain).code == 0


def test_fewer_epochs_and_those_of_a_preset_are_refused(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    """A script with another preset does not make a run longer by itself."""
    go_on(frame_faces, tmp_path / "run")
    again = ("train", frame_faces.folder, "--out", tmp_path / "run", "--resume")
    card = (tmp_path / "run/run.json").read_bytes()
    refused = sciu(*again, "--epochs", 1)
    assert refused.code == 3
    assert "--epochs must be at least 2 to resume this run" in refused.error()
    for way in (("--preset", "demo"), ("--set", "epochs=24")):
        assert "epochs: 2 in the run, 24 now" in sciu(*again, *way).error()
    assert (tmp_path / "run/run.json").read_bytes() == card


# ---- the card


def card(*spans: tuple[int, int], epochs: int) -> RunCard:
    return RunCard(
        run="1f", command="", settings=Settings(epochs=epochs), origins={}, labels_from=None, held_out=[], store="",
        dataset=DatasetCard(folder="/data", name="faces", fingerprint="ab", classes=["happy", "sad"]),
        lengths=[Length(from_epoch=begin, epochs=count) for begin, count in spans],
    )  # fmt: skip


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=4), st.integers(1, 300))
def test_an_epoch_is_of_the_length_that_was_the_last_to_begin(steps: list[tuple[int, int]], epoch: int) -> None:
    spans, begin, count = [(1, 10)], 1, 10
    for later, more in steps:
        begin, count = begin + later, count + more
        spans.append((begin, count))
    found = card(*spans, epochs=count)
    assert RunCard.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert found.first_epochs == 10
    assert found.epochs_at(epoch) == max(((b, c) for b, c in spans if b <= epoch), default=(0, 10))[1]


@pytest.mark.parametrize(
    "spans", [[(2, 3), (3, 4)], [(1, 4), (3, 4)], [(1, 3), (3, 5)], [(1, 2), (5, 3), (4, 4)], [(1, -1), (2, 4)]]
)
def test_lengths_that_no_run_has_are_refused(tmp_path: Path, spans: list[tuple[int, int]]) -> None:
    (tmp_path / "run.json").write_text(json.dumps(card(*spans, epochs=4).to_json()))
    with pytest.raises(RunError, match="run.json' (is damaged: lengths|has a setting)"):
        RunFolder(tmp_path).require()
