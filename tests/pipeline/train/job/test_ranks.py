"""A single process is a rank like any other, and errors on rank 0 are raised on all ranks."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import torch
from training import free_port, talk_as_a_rank

from sciu.pipeline.train.job.ranks import Ranks, joined

CPU = torch.device("cpu")


def test_alone() -> None:
    ranks = Ranks()
    tensor = torch.tensor([1.0, 2.0])
    ranks.sum_all([tensor])
    ranks.mean_all([tensor])
    ranks.share([tensor])
    assert ranks.sum(tensor).tolist() == [1.0, 2.0]
    assert ranks.gather("x") == ["x"]
    assert ranks.broadcast("x") == "x"
    assert ranks.from_first(lambda: 3) == 3
    assert [ranks.any(True), ranks.any(False)] == [True, False]
    assert ranks.totals({"clips": 2}) == {"clips": 2}
    with joined(CPU) as found:
        assert found == ranks


def test_three(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    port = free_port()
    processes = [context.Process(target=talk_as_a_rank, args=(rank, str(tmp_path), port)) for rank in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    for rank in range(3):
        gathered = [0, 1, 2] if rank == 0 else None
        arrays = [((30_000, 7), rank + 1.5, rank + 1.5, 0) for rank in gathered or []]
        sent = [(7, 30_000), 2.5, [2.5] * 3 if rank == 0 else [1.5] * 3]  # rank 0's own are a view of what it sent
        expected = [
            [[3.0], [[3.0, 6.0]]], 3.0, 7, gathered, 0, True, False, {"clips": 3}, 3, arrays, sent, "KeyError: 'lost'"
        ]  # fmt: skip
        assert (tmp_path / str(rank)).read_text() == repr(expected)
