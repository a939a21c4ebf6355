"""All that happened to every clip, kept in memory and continued as the store grows.

Reading the history of one clip from the store costs a pass through all events: a second once people have decided about
ten thousand clips.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from sciu.purification.clip_state import PINS, Action, ClipStates, Status
from sciu.purification.history import Entry

if TYPE_CHECKING:
    from sciu.purification import Purifier
    from sciu.purification.event import Event


class Histories:
    """The entries of every clip in order, and what the policy said of it last."""

    def __init__(self, purifier: Purifier) -> None:
        self._purifier = purifier
        self._entries: dict[int, list[Entry]] = defaultdict(list)
        self.events = 0
        self.pruned = np.zeros(purifier.clips, np.bool_)  # by the policy's last word, whatever people said since
        self.label = purifier.given.copy()

    def __getitem__(self, clip: int) -> list[Entry]:
        return self._entries.get(clip, [])

    def read_on(self) -> tuple[bool, set[int]]:
        """Read the events that have come since; return whether an epoch ended, and which clips they are about."""
        events, about = self._purifier.events(self.events), set[int]()
        for event in events:
            about.update(self._add(event))
        self.events += len(events)
        return any(event.kind == "epoch" for event in events), about

    def _add(self, event: Event) -> list[int]:
        rows = self._purifier.rows(event.number)
        clips: list[int] = rows["clip"].tolist()
        for clip, row in zip(clips, rows, strict=True):
            self._entries[clip].append(Entry(event, row))
        if event.kind == "epoch":
            self.pruned[rows["clip"]] = rows["status_after"] & np.uint8(Status.PRUNED) != 0
            self.label[rows["clip"]] = rows["label_after"]
        return clips

    def by_policy(self, clip: int) -> Entry | None:
        """Return the last decision of the policy about a clip."""
        return next((entry for entry in reversed(self[clip]) if entry.event.kind == "epoch"), None)

    def pin(self, clip: int, states: ClipStates) -> Event | None:
        """Return the event that made the pin that a clip has; None if it has none."""
        pinned, label = states.status[clip] & np.uint8(PINS), states.label[clip]
        if not pinned:
            return None
        made = (
            entry.event
            for entry in reversed(self[clip])
            if entry.row["action"] == Action.PIN
            and entry.row["status_after"] & np.uint8(PINS) == pinned
            and (not pinned & np.uint8(Status.PIN_LABEL) or entry.row["label_after"] == label)
        )
        return next(made, None)
