"""All that happened to every clip, kept in memory and continued as the store grows.

Reading the history of one clip from the store costs a pass through all events: a second once people have decided about
ten thousand clips.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from sciu.purification.clip_state import PINS, Action, ClipStates, Status
from sciu.purification.history import Entry
from sciu.purification.revision import changed, in_effect

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

    def read_on(self) -> Iterator[tuple[Event, list[int]]]:
        """Read the events that have come since; yield each and the clips it is about, once it is part of this."""
        for event in self._purifier.events(self.events):
            clips = self._add(event)
            self.events += 1
            yield event, clips

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

    def change(self, clip: int) -> Event | None:
        """Return the last change of a clip that is in effect, which an undo takes back; None if there is none."""
        changes = self._in_effect(clip)
        return changes[-1].event if changes else None

    def pin(self, clip: int, states: ClipStates) -> Event | None:
        """Return the event that made the pin that a clip has; None if it has none.

        Who says the same again, of an own pin, adds a reason to it; of another's, it remains the other's.
        """
        pinned, label = states.status[clip] & np.uint8(PINS), states.label[clip]
        if not pinned:
            return None
        made = (
            entry.event
            for entry in reversed(self._in_effect(clip))
            if entry.row["action"] in (Action.PIN, Action.UNDO)
            and entry.row["status_after"] & np.uint8(PINS) == pinned
            and (not pinned & np.uint8(Status.PIN_LABEL) or entry.row["label_after"] == label)
        )
        event = next(made, None)
        again = [
            entry.event
            for entry in self[clip]
            if event and entry.event.number > event.number and entry.event.kind == "pin"
            and entry.event.who == event.who and not changed(entry.row)
        ]  # fmt: skip
        return next((each for each in reversed(again) if each.why), event)

    def _in_effect(self, clip: int) -> list[Entry]:
        return [entry for entry, _ in in_effect((entry, entry.row) for entry in self[clip])]
