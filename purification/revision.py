"""Changes made by users, and files that cannot be read: each as rows, like the policy's own decisions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from sciu.purification.clip_state import PINS, ROW, Action, ClipStates, Rows, Status
from sciu.purification.errors import ChangedError, PolicyError, PurifierError, whole
from sciu.purification.store import layout
from sciu.purification.store.store import Transaction

PinAction = Literal["keep", "drop", "label", "free"]
_PINS: dict[str, Status] = {
    "keep": Status.PIN_KEEP,
    "drop": Status.PIN_DROP,
    "label": Status.PIN_LABEL,
    "free": Status(0),
}


BY_PEOPLE = ("pin", "undo")  # kinds of events that say what a person thinks of a clip
Source = TypeVar("Source")


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A user's decision about a clip; it overrides the policy until it is freed."""

    clip: int  #: its id
    action: PinAction  #: keep, drop, label or free
    label: int | None = None  #: the class number, for "label"
    who: str = ""
    why: str = ""
    seen: int | None = None  #: how many events the one who decides knew of: it is refused if others decided since


def check_clips(clips: Sequence[int], states: ClipStates) -> None:
    """Raise for clips that are not in the training set."""
    for clip in clips:
        clip = whole("clip", clip)
        if not 0 <= clip < len(states) or states.given[clip] < 0:
            what = "is not in the training set" if 0 <= clip < len(states) else "does not exist"
            raise PurifierError(f"clip must be one of the training set's, but {clip} {what}.")


def check_seen(transaction: Transaction, pin: Pin) -> None:
    """Raise if another person has decided about the clip since the one who decides looked at it."""
    events = transaction.head.events
    for number in reversed(range(events if pin.seen is None else pin.seen, events)):
        event, clips = layout.load_event(transaction, number), layout.load_rows(transaction, number)["clip"]
        if event.kind in BY_PEOPLE and event.who != pin.who and pin.clip in clips:
            who = event.who or "somebody"
            raise ChangedError(f"{who} has decided about clip {pin.clip} since it was shown, so nothing was stored.")


def rows_of_pin(pin: Pin, states: ClipStates, classes: int) -> Rows:
    """Return a pin as a row."""
    check_clips([pin.clip], states)
    if str(pin.action) not in _PINS:
        raise PolicyError(f"pin must be one of {list(_PINS)}, but is {pin.action!r}.")
    if (pin.label is not None) != (pin.action == "label"):
        raise PolicyError(f"a label belongs to the pin 'label' and to no other, but '{pin.action}' has {pin.label!r}.")
    if pin.label is not None and not 0 <= whole("label", pin.label) < classes:
        raise PolicyError(f"label must be a class number from 0 to {classes - 1}, but is {pin.label!r}.")
    rows = states.rows(Action.PIN if pin.action != "free" else Action.UNPIN, np.array([pin.clip], np.int64))
    status = int(rows["status_before"][0]) & ~int(PINS) | int(_PINS[pin.action])
    if pin.action in ("keep", "label"):
        status &= ~int(Status.PRUNED)
    rows["status_after"] = status
    if pin.label is not None:
        rows["label_after"] = pin.label
    return rows


def rows_of_quarantine(clips: Sequence[int], states: ClipStates, *, into: bool) -> Rows:
    """Return as rows which clips go into quarantine, or out of it, without those that are there already."""
    check_clips(clips, states)
    action, flag = (Action.QUARANTINE, Status.QUARANTINED) if into else (Action.RELEASE, Status(0))
    rows = states.rows(action, np.unique(np.asarray(clips, np.int64)))
    rows["status_after"] = rows["status_before"] & np.uint8(~Status.QUARANTINED & 0xFF) | np.uint8(flag)
    changed: Rows = rows[rows["status_after"] != rows["status_before"]]
    return changed


def rows_of_undo(
    transaction: Transaction, states: ClipStates, clip: int | None, epoch: int | None, event: int | None = None
) -> Rows:
    """Return the rows that undo the last change in effect: of a clip, of an epoch's end, or of both.

    An undo is no such change: the next one goes one change further back. With `event` that must be the clip's last one.
    """
    if clip is None and epoch is None:
        raise PolicyError("undo needs a clip, an epoch or both, but got neither.")
    if clip is not None:
        check_clips([clip], states)
    if epoch is not None:
        if epoch < 1 or not layout.has_opened(transaction, epoch + 1):
            raise PurifierError(f"epoch {epoch} must have ended to be undone, but has not. See `status`.")
        number = layout.opening(transaction, epoch + 1)
        done = _changing(transaction, number, clip)
        done = done[~np.isin(done["clip"], _changed_since(transaction, number))]
    else:
        found = ((number, _changing(transaction, number, clip)) for number in range(transaction.head.events))
        changes = in_effect((number, rows[0]) for number, rows in found if len(rows))
        if event is not None and (not changes or changes[-1][0] != event):
            raise ChangedError(_not_last(transaction, clip, event, changes[-1][0] if changes else -1))
        done = np.array([row for _, row in changes[-1:]], ROW)
    if not len(done):
        what = f"clip {clip}" if clip is not None else f"epoch {epoch}"
        raise PurifierError(f"{what} has no change in effect, so there is nothing to undo. See `show`.")
    rows = states.rows(Action.UNDO, done["clip"].astype(np.int64))
    rows["status_after"], rows["label_after"] = done["status_before"], done["label_before"]
    return rows


def _not_last(transaction: Transaction, clip: int | None, event: int, last: int) -> str:
    """Say why an event about a clip is not undone."""
    if last < event:
        return f"event {event} changed nothing of clip {clip} that is still in effect, so nothing was undone."
    who = layout.load_event(transaction, last).who or "the policy"
    return f"clip {clip} was changed by {who} since, so nothing was undone."


def in_effect(rows: Iterable[tuple[Source, np.void]]) -> list[tuple[Source, np.void]]:
    """Return those of a clip's rows, each with where it is from, that changed something and were not undone.

    An undo returns to the state before the last of them. If it does not, an earlier version wrote it, in which undoing
    an undo made the change again.
    """
    changes: list[tuple[Source, np.void]] = []
    for source, row in rows:
        if not changed(row):
            continue
        if row["action"] == Action.UNDO and changes and _returns(row, changes[-1][1]):
            changes.pop()
        else:
            changes.append((source, row))
    return changes


def _returns(undo: np.void, change: np.void) -> bool:
    return all(undo[f"{name}_after"] == change[f"{name}_before"] for name in ("status", "label"))


def _changing(transaction: Transaction, event: int, clip: int | None) -> Rows:
    """Return the rows of an event that change something, of a clip or of all."""
    rows = layout.load_rows(transaction, event)
    kept: Rows = rows[changed(rows)]
    return kept if clip is None else kept[kept["clip"] == clip]


def changed(rows: Rows | np.void) -> NDArray[np.bool_]:
    """Return of rows, or of one, whether they change anything."""
    return (rows["status_before"] != rows["status_after"]) | (rows["label_before"] != rows["label_after"])


def _changed_since(transaction: Transaction, event: int) -> NDArray[np.uint32]:
    """Return the clips that later events changed."""
    later = range(event + 1, transaction.head.events)
    return np.concatenate([np.zeros(0, np.uint32), *(_changing(transaction, n, None)["clip"] for n in later)])
