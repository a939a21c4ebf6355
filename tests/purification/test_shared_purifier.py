"""Many ranks and one store: the same index everywhere, as with one rank, and no rank waits for a failed one."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from noisy_clips import CLIPS, begin, one_epoch, scores

from sciu.purification import EpochIndex, PurifierError
from sciu.purification.shared_purifier import SharedPurifier

RANKS = 3


class Group:
    """Collectives between threads; a rank that is left waiting fails after ten seconds."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(RANKS, timeout=10)
        self._places: list[Any] = [None] * RANKS

    def gather(self, rank: int) -> Callable[[Any], list[Any] | None]:
        return lambda given: self._exchange(rank, given) if rank == 0 else self._exchange(rank, given) and None

    def broadcast(self, rank: int) -> Callable[[Any], Any]:
        return lambda given: self._exchange(rank, given)[0]

    def _exchange(self, rank: int, given: Any) -> list[Any]:
        self._places[rank] = pickle.loads(pickle.dumps(given))
        self._barrier.wait()
        all_given = list(self._places)
        self._barrier.wait()
        return all_given


def on_all_ranks(folder: Path, work: Callable[[SharedPurifier, int], Any]) -> list[Any]:
    """Run a rank in each thread."""
    group = Group()

    def run(rank: int) -> Any:
        purifier = begin(folder) if rank == 0 else None
        try:
            return work(SharedPurifier(purifier, gather=group.gather(rank), broadcast=group.broadcast(rank)), rank)
        finally:
            if purifier:
                purifier.close()

    with ThreadPoolExecutor(RANKS) as pool:
        return list(pool.map(run, range(RANKS)))


def test_all_ranks_go_on_with_the_index_of_one(tmp_path: Path) -> None:
    def train(purifier: SharedPurifier, rank: int) -> list[EpochIndex]:
        indexes = [purifier.index()]
        for epoch in range(1, 6):
            mine = indexes[-1].ids[rank::RANKS]
            for part in np.array_split(mine, 3):
                purifier.record(part, *scores(epoch, part))
            indexes.append(purifier.end_epoch())
        return indexes

    ranks = on_all_ranks(tmp_path / "shared", train)
    with begin(tmp_path / "alone") as alone:
        expected = [alone.index(), *(one_epoch(alone) for _ in range(5))]
    assert [index.files() for index in ranks[0]] == [index.files() for index in expected]
    for indexes in ranks[1:]:
        assert [index.labels.tolist() for index in indexes] == [index.labels.tolist() for index in expected]
        assert [index.ids.tolist() for index in indexes] == [index.ids.tolist() for index in expected]
        with pytest.raises(PurifierError, match="only rank 0 writes"):
            indexes[0].write(tmp_path)


def test_what_fails_on_rank_0_fails_everywhere(tmp_path: Path) -> None:
    def train(purifier: SharedPurifier, rank: int) -> str:
        if rank == 2:
            purifier.record([CLIPS + 5], [0.5], [[1.0, 0.0, 0.0]])
        with pytest.raises(PurifierError) as told:
            purifier.end_epoch()
        return str(told.value)

    said = on_all_ranks(tmp_path, train)
    assert all(f"but {CLIPS + 5} is among them" in text for text in said)
    assert said[1].startswith("rank 0: PurifierError: ")
