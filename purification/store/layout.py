"""Which blocks a store holds, and how columns, scores and events become blocks.

meta                     schema, classes, policy, fingerprint: written once
head                     how many events there are, which epoch is open
lines/B  given/B         paths and labels of the dataset, written once; B: block of 65,536 clips
label/B  status/B  slot/B  fresh/B      what is believed now
plane/P/B                the score ring: window + 1 planes
running/E/B              the running averages as of the opening of an epoch, from the second on
event/N  rows/N/B        what happened, in order, and what it changed
opened/E                 the event that opened an epoch
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.purification.clip_state import ROW, Action, ClipStates, Rows
from sciu.purification.errors import DamagedError, declared
from sciu.purification.event import Event
from sciu.purification.store.list_lines import Lines
from sciu.purification.store.score_plane import Plane
from sciu.purification.store.store import Transaction

SCHEMA = 1
MOST_CLASSES = 32_767  # labels are int16
BLOCK = 65_536
COLUMNS = {"given": np.int16, "label": np.int16, "status": np.uint8, "slot": np.uint8, "fresh": np.uint8}

_ONE, _MINUS_ZERO = 0x3C00, 0x8000  # in half precision; the first version did not avoid -0

assert sys.byteorder == "little", "blocks are written in the byte order of memory"


def blocks(clips: int) -> Iterator[tuple[int, slice]]:
    """Yield the number of every block and the clips it holds."""
    for number, start in enumerate(range(0, clips, BLOCK)):
        yield number, slice(start, min(start + BLOCK, clips))


@dataclass(frozen=True, kw_only=True)
class Meta:
    """The description of a store."""

    schema: int
    clips: int
    num_classes: int
    class_names: list[str]
    policy: dict[str, Any]  # its method and settings; `policy_from_json` reads them
    fingerprint: str
    created: str


def save_meta(transaction: Transaction, meta: Meta) -> None:
    """Write a store's description, last of all: a store without it was never finished."""
    transaction.put_json("meta", asdict(meta))


def load_meta(transaction: Transaction) -> Meta:
    """Read a store's description."""
    if isinstance(known := transaction.known.get("meta"), Meta):
        return known
    meta = declared(Meta, transaction.get_json("meta"), "block 'meta'")
    if meta.clips < 1 or meta.num_classes != len(meta.class_names) or not 2 <= meta.num_classes <= MOST_CLASSES:
        sizes = f"{meta.clips} clips, {meta.num_classes} classes and {len(meta.class_names)} names"
        raise DamagedError(f"block 'meta' is damaged: a store cannot have {sizes}.")
    transaction.known["meta"] = meta
    return meta


# ---- columns


def save_states(transaction: Transaction, states: ClipStates, before: ClipStates | None = None) -> None:
    """Write the columns; with `before` only the blocks that changed."""
    names = ClipStates.CHANGING if before else tuple(COLUMNS)
    for name in names:
        column = getattr(states, name)
        for number, span in blocks(len(states)):
            if before is None or not np.array_equal(column[span], getattr(before, name)[span]):
                transaction.put_array(f"{name}/{number:04d}", column[span])


def load_states(transaction: Transaction) -> ClipStates:
    """Read the columns."""
    meta, columns = load_meta(transaction), dict[str, Any]()
    clips = meta.clips
    for name, dtype in COLUMNS.items():
        parts = [transaction.get_array(f"{name}/{number:04d}", dtype) for number, _ in blocks(clips)]
        columns[name] = np.concatenate(parts) if parts else np.zeros(0, dtype)
        if len(columns[name]) != clips:
            raise DamagedError(f"column '{name}' must have {clips} clips, but has {len(columns[name])}.")
    for name in ("given", "label"):
        _require_classes(columns[name], meta, f"column '{name}'")
    return ClipStates(**columns)


def line_blocks(lines: Lines) -> Iterator[tuple[str, memoryview]]:
    """Yield the lines of the epoch lists as blocks, with their keys."""
    for number, span in blocks(len(lines)):
        start, end = lines.starts[span.start], lines.starts[span.stop]
        yield f"lines/{number:04d}", memoryview(lines.text)[start:end]


def save_lines(transaction: Transaction, lines: Lines) -> None:
    """Write the lines of the epoch lists."""
    for key, content in line_blocks(lines):
        transaction.put(key, content)


def load_lines(transaction: Transaction, clips: int) -> Lines:
    """Read the lines of the epoch lists."""
    lines = Lines(b"".join([transaction.get(f"lines/{number:04d}") for number, _ in blocks(clips)]))
    try:
        lines.text.decode()
    except UnicodeDecodeError as error:
        raise DamagedError(f"block 'lines' is damaged: {error}.") from error
    if len(lines) != clips or not lines.text.endswith(b"\n"):
        raise DamagedError(f"block 'lines' must have {clips} lines, but has {len(lines)}.")
    return lines


# ---- the score ring


def load_plane(transaction: Transaction, plane: int, number: int, span: slice, classes: int) -> Plane:
    """Read a block of a plane without a copy: it is valid as long as the transaction."""
    key, clips = _plane_key(plane, number), span.stop - span.start
    if not transaction.has(key):
        return Plane.empty(clips, classes)
    content = transaction.get(key)
    if len(content) != Plane.bytes_of(clips, classes):
        raise DamagedError(f"block '{key}' must be scores of {clips} clips, but has {len(content)} bytes.")
    stored = Plane.from_bytes(content, clips, classes)
    for values in (stored.weight_N, stored.probs_KN):
        _require_shares(values, key)
    return stored


def save_plane(transaction: Transaction, plane: int, number: int, content: Plane) -> None:
    """Write a block of a plane."""
    transaction.put(_plane_key(plane, number), *content.buffers())


def _plane_key(plane: int, number: int) -> str:
    return f"plane/{plane:02d}/{number:04d}"


# ---- running averages


def load_running(transaction: Transaction, epoch: int, number: int, span: slice, classes: int) -> NDArray[np.float16]:
    """Read a block of the averages as of the opening of an epoch, [K, clips of the block]."""
    values = transaction.get_array(running_key(epoch, number), np.float16)
    if len(values) != classes * (span.stop - span.start):
        raise DamagedError(f"block '{running_key(epoch, number)}' must have {classes} classes, but has {len(values)}.")
    _require_shares(values, running_key(epoch, number))
    return values.reshape(classes, -1)


def _require_shares(values: NDArray[np.float16], key: str) -> None:
    """Raise unless all are from 0 to 1: as integers, which is what numpy compares fast."""
    bits = values.view(np.uint16)
    if bits.size and bits.max() > _ONE and (bits[bits > _ONE] != _MINUS_ZERO).any():
        raise DamagedError(f"block '{key}' must have numbers from 0 to 1, but has others.")


def save_running(transaction: Transaction, epoch: int, number: int, content_KN: NDArray[np.float16]) -> None:
    """Write a block of the averages."""
    transaction.put_array(running_key(epoch, number), np.ascontiguousarray(content_KN).reshape(-1))


def running_key(epoch: int, number: int) -> str:
    """Return the key of a block of the averages."""
    return f"running/{epoch:05d}/{number:04d}"


# ---- events


def append_event(transaction: Transaction, event: Event, rows: Rows) -> Event:
    """Write an event and its rows; return it with its place in the history."""
    head = transaction.head
    number = head.events
    stored = event.stored_as(number, len(rows))
    transaction.put_json(f"event/{number:08d}", stored.to_json())
    for block, span in blocks(len(rows)):
        transaction.put_array(f"rows/{number:08d}/{block:04d}", rows[span])
    transaction.put_head(replace(head, events=number + 1))
    return stored


def open_epoch(transaction: Transaction, epoch: int, event: int) -> None:
    """Write that an event opened an epoch."""
    transaction.put_head(replace(transaction.head, epoch=epoch))
    transaction.put_json(_opened_key(epoch), event)


def has_opened(transaction: Transaction, epoch: int) -> bool:
    """Return whether an epoch was ever opened."""
    return transaction.has(_opened_key(epoch))


def opening(transaction: Transaction, epoch: int) -> int:
    """Return the event that opened an epoch."""
    return transaction.get_count(_opened_key(epoch), transaction.head.events - 1)


def _opened_key(epoch: int) -> str:
    return f"opened/{epoch:05d}"


def load_event(transaction: Transaction, number: int) -> Event:
    """Read an event."""
    event = Event.from_json(transaction.get_json(f"event/{number:08d}"))
    if event.number != number or event.rows < 0 or event.epoch < 0:
        raise DamagedError(f"event {number} is damaged: it says that it is event {event.number}.")
    classes = load_meta(transaction).num_classes
    if event.transition and [len(row) for row in event.transition] != [classes] * classes:
        raise DamagedError(f"event {number} is damaged: its transition is not from each of {classes} classes to each.")
    return event


def load_rows(transaction: Transaction, number: int) -> Rows:
    """Read the rows of an event."""
    count = load_event(transaction, number).rows
    parts = [transaction.get_array(f"rows/{number:08d}/{block:04d}", ROW) for block, _ in blocks(count)]
    rows: Rows = np.concatenate(parts) if parts else np.zeros(0, ROW)
    if len(rows) != count:
        raise DamagedError(f"event {number} must have {count} rows, but has {len(rows)}.")
    meta, action = load_meta(transaction), rows["action"]
    if ((rows["clip"] >= meta.clips) | (action < min(Action)) | (action > max(Action))).any():
        raise DamagedError(f"rows of event {number} are damaged: they are of no clip, or of no action.")
    for name in ("label_before", "label_after"):
        _require_classes(rows[name], meta, f"rows of event {number}")
    return rows


def _require_classes(labels: NDArray[np.int16], meta: Meta, what: str) -> None:
    if ((labels < -1) | (labels >= meta.num_classes)).any():
        raise DamagedError(f"{what} must have class numbers from -1 to {meta.num_classes - 1}, but has others.")


def replay(transaction: Transaction, states: ClipStates, events: int) -> ClipStates:
    """Return the states after so many events, starting from the given labels. Only labels and status are replayed."""
    past = ClipStates.begin(states.given)
    for number in range(events):
        past.apply(load_rows(transaction, number))
    return past
