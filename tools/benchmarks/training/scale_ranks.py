"""The ranks of `scale`: real processes that gather scores, publish an index and plan their parts of it."""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.feed.memory.free_memory import available_bytes
from sciu.pipeline.feed.plan.plan import Planner
from sciu.pipeline.train.job.ranks import Ranks, joined
from sciu.purification import EpochIndex
from sciu.purification.index import make_targets

_SPARE = 0.7  # share of the free memory that may be used
_OF_A_RANK = 30 << 20  # bytes, before it has an index
_LABEL_AND_ID, _TARGET = 10, 16  # bytes of a clip in an index, at 7 classes


def of_ranks(folder: Path, most: int) -> list[dict[str, Any]]:
    """Return what 4, 16 and `most` ranks take, without and with averages, as far as the memory goes.

    The ranks are forked from a process that has torch and the dataset, which they share. A machine of a job has as
    many copies of these as it has ranks, but one index a rank here as there.
    """
    dataset, found = Dataset.load(folder), []
    for averages in (False, True):
        for world in sorted({min(4, most), min(16, most), most}):
            needed = world * (_OF_A_RANK + len(dataset) * (_LABEL_AND_ID + averages * _TARGET))
            about = {"ranks": world, "averages": str(averages)}
            if needed > _SPARE * available_bytes():
                found.append({**about, "left out: needs GB": needed / 1e9})
            else:
                found.append({**about, **_measured(dataset, world, averages=averages)})
    return found


def _measured(dataset: Dataset, world: int, *, averages: bool) -> dict[str, Any]:
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ranks = [
        context.Process(target=_rank, args=(rank, world, port, dataset, averages, results)) for rank in range(world)
    ]
    for rank in ranks:
        rank.start()
    found = results.get()
    for rank in ranks:
        rank.join()
    return dict(found)


def _rank(rank: int, world: int, port: int, dataset: Dataset, averages: bool, results: Any) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with joined(torch.device("cpu")) as ranks:
        found = _work(ranks, dataset, averages=averages)
        if ranks.first:
            results.put(found)


def _work(ranks: Ranks, dataset: Dataset, *, averages: bool) -> dict[str, Any]:
    """Do what all ranks do when an epoch changes, stage by stage."""
    seconds: dict[str, float] = {}
    share, classes = -(-len(dataset) // ranks.world), len(dataset.classes)
    given = (np.arange(share), np.ones(share, np.float32), np.full((share, classes), 1 / classes, np.float32))
    with _together(ranks, seconds, "gather"):
        gathered = ranks.gather([given])
    sizes = {"gathered_MB": sum(array.nbytes for scores in gathered or [] for one in scores for array in one) / 1e6}
    del given, gathered
    index = _index(dataset, averages=averages) if ranks.first else None
    with _together(ranks, seconds, "publish"):
        index = ranks.broadcast(index)
    assert isinstance(index, EpochIndex)
    with _together(ranks, seconds, "plan, all of them"):
        began = time.perf_counter()
        for turn in range(ranks.world):
            if turn == ranks.rank:
                began = time.perf_counter()
                Planner(dataset=dataset, batch_size=64, rank=ranks.rank, world=ranks.world).training(index)
                seconds["plan, one"] = time.perf_counter() - began
            ranks.any(False)
    total = ranks.totals({"memory": _own_memory()})
    handles = len([*Path("/proc/self/fd").iterdir()])
    published = sum(part.nbytes for part in (index.labels, index.targets) if part is not None) / 1e6
    return {
        **seconds, **sizes, "published_MB": published, "memory_of_all_GB": total["memory"], "handles": handles,
    }  # fmt: skip


def _index(dataset: Dataset, *, averages: bool) -> EpochIndex:
    index = EpochIndex.given(dataset.ids("train"), dataset.labels, 2)
    if averages:
        running_KN = np.full((len(dataset.classes), len(dataset)), 0.14, np.float16)
        index.__dict__["targets"] = make_targets(running_KN, np.ones(len(dataset)))
    return index


def _own_memory() -> float:
    """Return the GB that this process does not share with others."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1e6


@contextmanager
def _together(ranks: Ranks, seconds: dict[str, float], name: str) -> Iterator[None]:
    """Measure from when the last rank has come until the last has done it."""
    ranks.any(False)
    began = time.perf_counter()
    yield
    ranks.any(False)
    seconds[name] = time.perf_counter() - began
