"""Checkpoints are whole or absent, few and well named, and damage is detected."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
import torch

from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.record.checkpoints import Checkpoints, read_checkpoint


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
    with pytest.raises(RunError, match="There are: epoch_00001, last"):
        kept.load("best")


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
    with pytest.raises(RunError, match="bytes free for a checkpoint, but has 10"):
        kept.save(content(2))
    assert kept.load("last")["state"]["epoch"] == 1


def test_another_format_is_refused(tmp_path: Path) -> None:
    torch.save({"format": 99}, tmp_path / "last.pt")
    with pytest.raises(RunError, match="must be of format 1, but is 99"):
        read_checkpoint(tmp_path / "last.pt")
