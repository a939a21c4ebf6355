"""One purifier for many ranks: rank 0 writes, the others hand it their scores, and all go on with the same index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.purification.errors import PurifierError
from sciu.purification.index import EpochIndex
from sciu.purification.purifier import Purifier

Gather = Callable[[Any], list[Any] | None]
"""Collective: hand an object to rank 0, which gets those of all ranks in their order; the others get None."""
Broadcast = Callable[[Any], Any]
"""Collective: return on every rank what rank 0 gave."""


class SharedPurifier:
    """The loop's side of a purifier, on every rank; rank 0 has the real one.

    With torch.distributed: `gather` is `gather_object`, `broadcast` is `broadcast_object_list`, once an epoch each.
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

    def end_epoch(self) -> EpochIndex:
        """Bring all scores to rank 0, which stores and decides; return the next index. Collective.

        What fails on rank 0 fails on all, so that no rank waits for it. It can be called again: the scores are there.
        """
        self._gathered += self._gather(self._scores) or []
        self._scores = []

        def end(purifier: Purifier) -> EpochIndex:
            for scores in self._gathered:
                for ids, weights, probs in scores:
                    purifier.record(ids, weights, probs)
            index = purifier.end_epoch()
            self._gathered = []
            return index

        return self.ask(end)

    def ask(self, work: Callable[[Purifier], EpochIndex]) -> EpochIndex:
        """Let rank 0 do something with the purifier, and return the index that it comes to. Collective."""
        if self._purifier is None:
            index, told = self._broadcast(None)
            if told:
                raise PurifierError(f"rank 0: {told}")
            return index
        try:
            index = work(self._purifier)
        except Exception as error:
            self._broadcast((None, f"{type(error).__name__}: {error}"))
            raise
        self._broadcast((replace(index, lines=None), ""))  # 50 MB a million clips, and only rank 0 writes files
        return index
