"""Checkpoints are whole or absent, few and well named, and damage is detected."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from sciu.pipeline.train.errors import RunError, TrainError
from sciu.pipeline.train.record.checkpoints import Checkpoints, read_checkpoint, require_fitting, require_whole
from sciu.pipeline.train.record.run_state import RunState


def content(epoch: int) -> dict[str, object]:
    return {"state": {"epoch": epoch}, "model": {"w": torch.full((1000,), float(epoch))}}


def test_last_best_and_the_last_epochs_are_kept(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "checkpoints", keep=2)
    for epoch in range(1, 6):
        kept.save(content(epoch))
        kept.name(epoch, best=epoch == 2)
        kept.name(epoch, best=epoch == 2)  # as after a kill
    kept.save(content(6))  # in the middle of an epoch
    names = {path.name for path in kept.folder.iterdir()}
    assert names == {"last.pt", "best.pt", "epoch_00004.pt", "epoch_00005.pt"}
    found = {name: kept.load(name)["state"]["epoch"] for name in ("last", "best", "4", "5")}
    assert found == {"last": 6, "best": 2, "4": 4, "5": 5}


def test_the_newest_is_found_and_without_it_the_one_before(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    assert kept.latest() is None
    for epoch in (1, 2):
        kept.save(content(epoch))
        kept.name(epoch, best=False)
    (tmp_path / "last.pt").unlink()
    assert kept.latest() == tmp_path / "last.pt"
    assert kept.load("last")["state"]["epoch"] == 2


def test_what_is_not_there_is_told_with_what_is(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    kept.save(content(1))
    kept.name(1, best=False)
    with pytest.raises(RunError, match="There are: last, 1"):
        kept.load("best")


@pytest.mark.parametrize("name", ["../../other/checkpoints/last", "../checkpoints/last", "", "9" * 5000, "1.0", "-1"])
def test_only_names_are_taken_no_paths(tmp_path: Path, name: str) -> None:
    """Or the weights of another run are evaluated under this one's name."""
    for run in ("run", "other"):
        kept = Checkpoints(tmp_path / run / "checkpoints")
        kept.save(content(1))
    kept = Checkpoints(tmp_path / "run/checkpoints")
    with pytest.raises(RunError, match="does not exist .* There are: last"):
        kept.load(name)


def test_files_with_other_names_are_not_epochs(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, keep=1)
    for name in ("epoch_abc.pt", "epoch_.pt", "epoch_7.pt", "epoch_000000007.pt", "epoch_-0001.pt"):
        (tmp_path / name).touch()
    for epoch in (1, 2):
        kept.save(content(epoch))
        kept.name(epoch, best=False)
    assert kept.epochs() == [2]
    (tmp_path / "last.pt").unlink()
    assert kept.latest() == tmp_path / "last.pt"
    assert (tmp_path / "epoch_abc.pt").exists()


def test_flipped_bits_are_noticed(tmp_path: Path) -> None:
    """Torch itself reads seven of ten such files without an error."""
    Checkpoints(tmp_path).save(content(1))
    whole = (tmp_path / "last.pt").read_bytes()
    chance, unnoticed = random.Random(0), 0
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        (tmp_path / "bad.pt").write_bytes(damaged)
        try:
            found = read_checkpoint(tmp_path / "bad.pt")
        except RunError:
            continue
        unnoticed += not torch.equal(found["model"]["w"], torch.full((1000,), 1.0))
    assert unnoticed == 0


def test_a_damaged_file_is_told_with_the_way_on(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    for epoch in (1, 2):
        kept.save(content(epoch))
        kept.name(epoch, best=False)
    kept.save(content(3))
    (tmp_path / "last.pt").write_bytes((tmp_path / "last.pt").read_bytes()[:1000])
    with pytest.raises(RunError, match=r"damaged: .* Remove last.pt, and --resume continues from epoch_00002.pt"):
        kept.load("last")


def test_all_names_of_a_damaged_file_are_told(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    for epoch in (1, 2):
        kept.save(content(epoch))
        kept.name(epoch, best=epoch == 2)
    with (tmp_path / "last.pt").open("r+b") as file:
        file.truncate(1000)
    told = "Remove best.pt and epoch_00002.pt and last.pt, and --resume continues from epoch_00001.pt"
    with pytest.raises(RunError, match=told):
        kept.load("last")


def test_a_disk_without_room_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Checkpoints(tmp_path)
    kept.save(content(1))
    kept.name(1, best=False)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage._replace(free=10))
    with pytest.raises(TrainError, match="bytes free for a checkpoint, but has 10"):
        kept.save(content(2))
    assert kept.load("last")["state"]["epoch"] == 1


@pytest.mark.parametrize("found", [[], [1], 7, "text", None, torch.zeros(3)])
def test_what_holds_no_names_is_told(tmp_path: Path, found: object) -> None:
    torch.save(found, tmp_path / "last.pt")
    with pytest.raises(RunError, match=r"last.pt' must hold a run's state by name, but holds .*\. Remove last.pt"):
        read_checkpoint(tmp_path / "last.pt")


WHOLE: dict[str, Any] = {
    "run": "1f", "state": RunState(epoch=2).to_json(), "amp": "off", "scaler": {},
    "of_each_rank": [{"random": {"cpu": torch.zeros(3)}, "statistics": {}}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state": None}, "state must be an object, but is None"),
        ({"state": [WHOLE["state"]] * 2}, r"state must be an object, but is \[\{"),
        ({"state": {"state": WHOLE["state"]}}, "state.best is missing"),
        ({"state": {**WHOLE["state"], "epoch": 0}}, "state.epoch must be at least 1, but is 0"),
        ({"state": {**WHOLE["state"], "step": -1}}, "state.step must be at least 0"),
        ({"state": {**WHOLE["state"], "history": [{}]}}, r"state.history\[0\].epoch is missing"),
        ({"state": {**WHOLE["state"], "done": "all"}}, "state.done must be a list, but is 'all'"),
        ({"run": 7}, "run must be text, but is 7"),
        ({"amp": None}, "amp must be text"),
        ({"scaler": []}, "scaler must be an object"),
        ({"backbone": 5}, "backbone must be text, but is 5"),
        ({"backbone": None}, "backbone must be text, but is None"),
        ({"classes": "abc"}, "classes must be a list, but is 'abc'"),
        ({"classes": ["a", 5]}, r"classes\[1\] must be text, but is 5"),
        ({"of_each_rank": {}}, "of_each_rank must be a list"),
        ({"of_each_rank": [{"random": {"cpu": 5}}]}, r"of_each_rank\[0\].random.cpu must be Tensor, but is 5"),
    ],
)
def test_a_checkpoint_with_other_content_is_told_with_the_way_on(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    (tmp_path / "last.pt").touch()
    require_whole(tmp_path / "last.pt", WHOLE)
    with pytest.raises(RunError, match=f"last.pt' is damaged: {message}.* Remove last.pt, and --resume"):
        require_whole(tmp_path / "last.pt", {**WHOLE, **change})


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ({"w": torch.zeros(1)}, r"is \[1\] float32 in the checkpoint and \[3\] float32 in the network"),
        ({"w": torch.zeros(3, dtype=torch.int64)}, r"is \[3\] int64 in the checkpoint"),
        ({"w": torch.zeros(3, dtype=torch.complex64)}, r"is \[3\] complex64 in the checkpoint"),
        ({"w": torch.zeros(3).to_sparse()}, "is not a dense tensor"),
        ({"w": [0, 0, 0]}, "is not a dense tensor"),
        ({}, "is in the network only"),
        (None, "is in the network only"),
        ({"w": torch.zeros(3), "v": torch.zeros(3)}, "'v' is in the checkpoint only"),
    ],
)
def test_tensors_that_do_not_fit_are_not_stretched_nor_left_out(tmp_path: Path, saved: Any, message: str) -> None:
    """Torch would copy one number over all three."""
    wanted = {"model": {"w": torch.ones(3)}}
    require_fitting(tmp_path / "last.pt", {"model": {"w": torch.zeros(3)}}, wanted)
    with pytest.raises(RunError, match=f"last.pt' does not fit the network: model .*{message}.* begin a new run"):
        require_fitting(tmp_path / "last.pt", {"model": saved}, wanted)


def test_another_format_is_refused(tmp_path: Path) -> None:
    torch.save({"format": 99}, tmp_path / "last.pt")
    with pytest.raises(RunError, match="must be of format 1, but is 99"):
        read_checkpoint(tmp_path / "last.pt")
