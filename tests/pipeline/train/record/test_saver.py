"""Checkpoints written in the background hold what was passed; the error of one is raised at the next."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sciu.pipeline.train.errors import TrainError
from sciu.pipeline.train.record.checkpoints import Checkpoints
from sciu.pipeline.train.record.saver import Saver


def content(weights: torch.Tensor) -> dict[str, Any]:
    return {"state": {"epoch": 1}, "model": {"w": weights}, "of_each_rank": [{"random": weights}]}


def test_what_changes_while_it_is_written_does_not_change_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints, go = Checkpoints(tmp_path), threading.Event()
    save = Checkpoints.save

    def save_later(self: Checkpoints, given: dict[str, Any]) -> None:
        assert go.wait(10)
        save(self, given)

    monkeypatch.setattr(Checkpoints, "save", save_later)
    saver, weights = Saver(checkpoints), torch.ones(1000)
    saver.save(content(weights))
    saver.name(1, best=True)
    weights.fill_(7)
    assert not [*tmp_path.iterdir()]
    go.set()
    saver.wait()
    for name in ("last", "best", "1"):
        found = checkpoints.load(name)
        assert torch.equal(found["model"]["w"], torch.ones(1000))
        assert torch.equal(found["of_each_rank"][0]["random"], torch.ones(1000))
    saver.close()


def test_a_file_that_fails_names_nothing_and_is_heard_at_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver = Saver(Checkpoints(tmp_path))
    saver.save(content(torch.zeros(10)))
    saver.name(1, best=False)
    saver.wait()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", full)
        saver.save(content(torch.ones(10)))
        saver.name(2, best=True)
        with pytest.raises(OSError, match="No space left"):
            saver.save(content(torch.ones(10)))
    assert {path.name for path in tmp_path.iterdir()} == {"last.pt", "epoch_00001.pt"}
    saver.save(content(torch.ones(10)))
    saver.close()
    assert Checkpoints(tmp_path).load("last")["model"]["w"].sum() == 10


def test_a_disk_without_room_is_refused_before_anything_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver = Saver(Checkpoints(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: SimpleNamespace(free=10))
    with pytest.raises(TrainError, match="80 bytes free for a checkpoint, but has 10"):
        saver.save(content(torch.zeros(10)))
    saver.close()
