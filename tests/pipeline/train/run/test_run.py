"""A closed run holds nothing that must not outlive its ranks' group."""

from __future__ import annotations

import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.config.resolve import resolve
from sciu.pipeline.train.job.ranks import Ranks, joined
from sciu.pipeline.train.job.stopping import Stop
from sciu.pipeline.train.run.run import RunRequest, opened

CPU = torch.device("cpu")
TINY: dict[str, Any] = {"backbone": "tiny_lstm", "size": 32, "frames": 4, "batch_size": 4, "threads": 1}


class Graph:
    """Replaces a captured graph with collective calls in it."""


def interrupt(really: bool) -> None:
    if really:
        raise InterruptedError


def no_progress(_label: str) -> Any:
    return lambda _done, _total, _note: None


@pytest.mark.parametrize("fails", [False, True])
def test_the_graph_is_gone_before_the_group_is_left(
    faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """A graph that has captured NCCL's calls makes `destroy_process_group` hang."""
    events: list[str] = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name, answer in (("init_process_group", None), ("get_rank", 0), ("get_world_size", 2)):
        monkeypatch.setattr(dist, name, lambda *_, _answer=answer, **__: _answer)
    monkeypatch.setattr(dist, "destroy_process_group", lambda: events.append("group left"))
    request = RunRequest(
        data=faces.folder, out=tmp_path / "run", resolved=resolve([("a test", TINY)]), say=lambda _line: None,
        progress=no_progress,
    )  # fmt: skip
    with suppress(InterruptedError), joined(CPU), opened(request, CPU, Ranks(), Stop()) as run:
        graph: Any = Graph()
        weakref.finalize(graph, events.append, "graph gone")
        run.step._replay = graph
        del graph
        interrupt(fails)
    assert events == ["graph gone", "group left"]
