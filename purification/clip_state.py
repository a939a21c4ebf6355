"""What is believed about every clip, as columns, and the rows that change it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray


class Status(IntFlag):
    """Why a clip is in its state. Without a flag it trains, and the policy decides."""

    PRUNED = 1
    QUARANTINED = 2  # its file cannot be read
    PIN_KEEP = 4  # a user says: it stays; its label may be corrected
    PIN_DROP = 8  # a user says: it is removed
    PIN_LABEL = 16  # a user says: it stays, with this label


PINS = Status.PIN_KEEP | Status.PIN_DROP | Status.PIN_LABEL
OUT = Status.PRUNED | Status.QUARANTINED | Status.PIN_DROP


class Action(IntEnum):
    """What a row of the history did to a clip."""

    PRUNE = 1
    CORRECT = 2
    RESTORE = 3
    PIN = 4
    UNPIN = 5
    UNDO = 6
    QUARANTINE = 7
    RELEASE = 8


ROW = np.dtype(
    [
        ("clip", "<u4"),
        ("action", "u1"),
        ("status_before", "u1"),
        ("status_after", "u1"),
        ("label_before", "<i2"),
        ("label_after", "<i2"),
        ("confidence", "<f4"),  # S_T; NaN where it was not measured
        ("delta", "<f4"),
    ]
)
Rows = NDArray[np.void]


@dataclass
class ClipStates:
    """What is believed about every clip: one column for each property, by clip id."""

    given: NDArray[np.int16]  # the label in the dataset; never changes
    label: NDArray[np.int16]  # with corrections
    status: NDArray[np.uint8]
    slot: NDArray[np.uint8]  # of the ring, where the clip's next score goes
    fresh: NDArray[np.uint8]  # scores in the ring since the clip last entered, left or was restored; at most window + 1

    CHANGING = ("label", "status", "slot", "fresh")

    @classmethod
    def begin(cls, given: NDArray[np.int16]) -> ClipStates:
        """Return the states before any decision: the dataset's labels."""
        status, slot, fresh = (np.zeros(len(given), np.uint8) for _ in range(3))
        return cls(given=given, label=given.copy(), status=status, slot=slot, fresh=fresh)

    def __len__(self) -> int:
        return len(self.given)

    def copy(self) -> ClipStates:
        """Return a copy of the columns that change."""
        changing = {name: getattr(self, name).copy() for name in self.CHANGING}
        return ClipStates(given=self.given, **changing)

    @property
    def ours(self) -> NDArray[np.bool_]:
        """Mask of the clips in the training set, including those that do not train now."""
        return self.given >= 0

    @property
    def training(self) -> NDArray[np.bool_]:
        """Mask of the clips that train."""
        return self.ours & ~self.has(OUT)

    def has(self, flags: Status) -> NDArray[np.bool_]:
        """Return the mask of the clips with any of these flags."""
        return (self.status & np.uint8(flags)) != 0

    def rows(self, action: Action, clips: NDArray[np.int64]) -> Rows:
        """Return rows about clips that change nothing yet."""
        rows = np.zeros(len(clips), ROW)
        rows["clip"], rows["action"] = clips, action
        rows["status_before"] = rows["status_after"] = self.status[clips]
        rows["label_before"] = rows["label_after"] = self.label[clips]
        rows["confidence"] = rows["delta"] = np.nan
        return rows

    def apply(self, rows: Rows) -> None:
        """Apply rows, at most one per clip.

        A clip that is removed, or restored by a user, is judged by new scores only; when the policy restores one, it
        has judged new scores already.
        """
        clips, action = rows["clip"], rows["action"]
        moved = (rows["status_before"] ^ rows["status_after"]) & np.uint8(OUT) != 0
        self.status[clips], self.label[clips] = rows["status_after"], rows["label_after"]
        self.fresh[clips[(moved & (action != Action.RESTORE)) | (action == Action.UNDO)]] = 0


def count_states(states: ClipStates) -> dict[str, int]:
    """Count the clips of the training set by state."""
    return {
        "clips": int(states.ours.sum()),
        "training": int(states.training.sum()),
        "pruned": int(states.has(Status.PRUNED).sum()),
        "corrected": int((states.training & (states.label != states.given)).sum()),  # of those that train
        "quarantined": int(states.has(Status.QUARANTINED).sum()),
        "dropped": int(states.has(Status.PIN_DROP).sum()),
        "pinned": int(states.has(PINS).sum()),
    }
