"""Holds memory that queued work still reads, until that work is done.

A decoder reuses its memory when the last reference dies, and decodes the next clips into it at once. Work that is
queued on a GPU holds no reference: without this, clips contained other clips' pixels.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol


class Event(Protocol):
    """A point in a queue of work; `torch.cuda.Event` is one."""

    def query(self) -> bool:
        """Return whether the work before it is done."""

    def synchronize(self) -> None:
        """Wait for it."""


@dataclass
class Lent:
    """References to memory with the event after its last read, oldest first."""

    _held: deque[tuple[Event, object]] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, memory: object, until: Event) -> None:
        """Hold memory until the work before an event is done; release what is done already."""
        self._held.append((until, memory))
        while self._held and self._held[0][0].query():
            self._held.popleft()

    def give_back(self) -> None:
        """Wait for all of the work and release everything."""
        while self._held:
            self._held[0][0].synchronize()
            self._held.popleft()
