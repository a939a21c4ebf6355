"""One purifier for many ranks: rank 0 writes, the others send it their scores, and all continue with the same index."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sciu.purification.errors import PurifierError
from sciu.purification.index import EpochIndex
from sciu.purification.purifier import Purifier

Gather = Callable[[Any], list[Any] | None]
"""Collective: send an object to rank 0, which gets those of all ranks in order; the others get None."""
Broadcast = Callable[[Any], Any]
"""Collective: return rank 0's object on every rank."""
Result = TypeVar("Result")


def on_rank_0(work: Callable[[], Result] | None, broadcast: Broadcast, *, error: type[Exception]) -> Result:
    """Run `work`, given on rank 0 alone, and return its result on all ranks. Collective.

    If it fails, it fails on all ranks, so that none waits: on the others with `error`, which quotes that of rank 0.
    """
    if work is None:
        result, failure = broadcast(None)
        if failure:
            raise error(f"rank 0: {failure}")
        return result
    try:
        result = work()
    except Exception as failed:
        broadcast((None, f"{type(failed).__name__}: {failed}"))
        raise
    broadcast((result, ""))
    return result


class SharedPurifier:
    """The loop's side of a purifier, on every rank; rank 0 has the real one.

    With torch.distributed: `gather` is `gather_object`, `broadcast` is `broadcast_object_list`, once per epoch each.
    """

    def __init__(self, purifier: Purifier | None, *, gather: Gather, broadcast: Broadcast) -> None:
        self._purifier = purifier
        self._gather = gather
        self._broadcast = broadcast
        self._scores: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
        self._gathered: list[Any] = []  # on rank 0, until the epoch has ended

    def index(self) -> EpochIndex:
        """Return what to decode in the open epoch. Collective."""
        return self.ask(lambda purifier: purifier.index())

    def record(self, ids: Any, weights: Any, probs: Any) -> None:
        """Take this rank's scores; they are checked when the epoch ends."""
        self._scores.append((np.asarray(ids), np.asarray(weights), np.asarray(probs)))

    def end_epoch(
        self,
        epoch: int | None = None,
        faults: Mapping[int, str] | None = None,
        *,
        publish: Callable[[EpochIndex], object] = lambda _index: None,
    ) -> EpochIndex:
        """Send all scores to rank 0, which stores them and decides; return the next index. Collective.

        Rank 0 also quarantines clips with `faults`, by reason, and publishes the index before the others have it. If
        `epoch` has ended already, nothing is stored and its index is returned again. An error on rank 0 is raised on
        all, so that no rank waits for it; this can then be called again: the scores are kept.
        """
        self._gathered += self.gather(self._scores)
        self._scores = []

        def end(purifier: Purifier) -> EpochIndex:
            if epoch in (None, purifier.epoch):
                purifier.quarantine_each(faults or {})
                for scores in self._gathered:
                    for ids, weights, probs in scores:
                        purifier.record(ids, weights, probs)
                index = purifier.end_epoch()
            else:
                index = purifier.index_at(epoch + 1)
            self._gathered = []
            publish(index)
            return index

        return self.ask(end)

    def ask(self, work: Callable[[Purifier], Result]) -> Result:
        """Run `work` with the purifier on rank 0, and return its result on all ranks. Collective."""
        purifier = self._purifier
        return on_rank_0(None if purifier is None else lambda: work(purifier), self._broadcast, error=PurifierError)

    def gather(self, given: Any) -> list[Any]:
        """Return the objects of all ranks, in order, on rank 0; an empty list on the others. Collective."""
        return self._gather(given) or []
