"""Verify a store: pages, checksums, history and columns, decisions and scores, the published indexes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sciu.purification.clip_state import Action, ClipStates
from sciu.purification.errors import DamagedError
from sciu.purification.index import EpochIndex, published_epochs
from sciu.purification.purifier import Purifier
from sciu.purification.rules.registry import rule_of
from sciu.purification.store import layout
from sciu.purification.store.pages import structural_problems
from sciu.purification.store.store import Store, Transaction

_LEFT = {
    "meta": "nothing can be read without it; the labels of every published epoch are in index/*.labels.npy",
    "transaction": "all of it, if nothing else is wrong",
    "head": "nothing can be read without it; the labels of every published epoch are in index/*.labels.npy",
    "lines": "all decisions; the dataset has the paths of these clips (--repair, with --data DIR if it was moved)",
    "given": "labels of these clips; the dataset has them",
    "label": "all of it: the history says what the labels are (--repair)",
    "status": "all of it: the history says what was pruned (--repair)",
    "slot": "all decisions; scores of these clips start again (--repair)",
    "fresh": "all decisions; scores of these clips start again (--repair)",
    "plane": "all decisions; scores of these clips start again (--repair)",
    "running": "all decisions; the running averages of these clips start again (--repair)",
    "event": "the current labels and status; not how they came to be",
    "rows": "the current labels and status; not how they came to be",
    "opened": "the current labels and status; not the index of this epoch",
}


_BY_BLOCK = (*ClipStates.CHANGING, "plane", "running")


@dataclass(frozen=True)
class Problem:
    """A problem in a store, and what can still be read."""

    where: str
    what: str
    left: str


def audit(folder: Path, index_folder: Path | None = None) -> list[Problem]:
    """Check everything; the first problems found may hide others."""
    pages = structural_problems(folder)
    if pages:
        left = "perhaps most of it: `python -m lmdb copy` may save it; published labels are in index/*.labels.npy"
        return [Problem("pages", what, left) for what in pages[:10]]
    try:
        store = Store(folder, read_only=True)
    except DamagedError as error:
        return [Problem("pages", str(error), "all but the last transactions")]
    try:
        with store.reading() as transaction:
            damaged = _damaged_blocks(transaction)
    finally:
        store.close()
    if damaged:
        return damaged
    with Purifier.open(folder, read_only=True) as purifier:
        return [*_against_history(purifier), *_last_decision(purifier), *_indexes(purifier, index_folder)]


def damaged_keys(transaction: Transaction) -> list[str]:
    """Return the keys of all blocks that are missing or whose checksum does not match."""
    found = []
    for key in sorted({*transaction.keys(), *_expected_keys(transaction)}):
        try:
            transaction.get(key)
        except DamagedError:
            found.append(key)
    return found


def _expected_keys(transaction: Transaction) -> list[str]:
    """Return the keys that must exist, as far as is known. Planes are created when they are filled."""
    keys = ["meta", "head", "transaction"]
    try:
        head, meta = transaction.head, layout.load_meta(transaction)
    except DamagedError:
        return keys
    clips = meta.clips
    if rule_of(meta.policy).averages:
        epochs = range(2, head.epoch + 1)
        keys += [layout.running_key(epoch, number) for epoch in epochs for number, _ in layout.blocks(clips)]
    keys += [f"{name}/{number:04d}" for name in ("lines", *layout.COLUMNS) for number, _ in layout.blocks(clips)]
    keys += [f"opened/{epoch:05d}" for epoch in range(1, head.epoch + 1)]
    for event in range(head.events):
        keys.append(f"event/{event:08d}")
        with suppress(DamagedError):
            rows = layout.load_event(transaction, event).rows
            keys += [f"rows/{event:08d}/{number:04d}" for number, _ in layout.blocks(rows)]
    return keys


def _damaged_blocks(transaction: Transaction) -> list[Problem]:
    found = []
    for key in damaged_keys(transaction):
        name, number = key.split("/")[0], key.rpartition("/")[2]
        first = int(number) * layout.BLOCK if number.isdigit() and name in _BY_BLOCK else None
        where = key if first is None else f"{key} (clips {first} to {first + layout.BLOCK - 1})"
        found.append(Problem(where, "missing, or its checksum does not match", _LEFT.get(name, "it is not ours")))
    return found


def _against_history(purifier: Purifier) -> list[Problem]:
    try:
        with purifier.store.reading() as transaction:
            now = layout.load_states(transaction)
            past = layout.replay(transaction, now, transaction.head.events)
    except DamagedError as error:
        return [Problem("history", str(error), _LEFT["rows"])]
    wrong = [name for name in ("label", "status") if not np.array_equal(getattr(now, name), getattr(past, name))]
    return [Problem(name, "is not what the history says", _LEFT[name]) for name in wrong]


def _last_decision(purifier: Purifier) -> list[Problem]:
    """Weigh the stored scores again: they must give the numbers in the last decision's rows."""
    with purifier.store.reading() as transaction:
        epoch = transaction.head.epoch
        number = layout.opening(transaction, epoch)
        rows = layout.load_rows(transaction, number)
        states, before = layout.load_states(transaction), purifier.states_before(number)
        states.label[rows["clip"]] = rows["label_before"]
        try:
            evidence = purifier.weigh(transaction, states)
        except DamagedError as error:
            return [Problem("scores", str(error), _LEFT["plane"])]
    rows = rows[np.isin(rows["action"], (Action.PRUNE, Action.CORRECT)) & (evidence.scores[rows["clip"]] > 0)]
    grounds = purifier.policy.grounds(evidence, before)
    again = np.where(rows["action"] == Action.CORRECT, grounds.sureness[rows["clip"]], grounds.quality[rows["clip"]])
    differ = ~np.isclose(again, rows["confidence"], rtol=1e-5, atol=1e-6)  # float32; logarithms differ between machines
    wrong = rows["clip"][differ & (evidence.scores[rows["clip"]] >= purifier.policy.window)]
    what = f"{len(wrong)} decisions are not what their scores say, the first of them about clip {wrong[:1].tolist()}"
    return [Problem(f"epoch {epoch - 1}", what, "the decisions as they are recorded")] if len(wrong) else []


def _indexes(purifier: Purifier, folder: Path | None) -> list[Problem]:
    if folder is None:
        return []
    return [Problem(f"index of epoch {epoch}", what, left) for epoch, what, left in differing_indexes(purifier, folder)]


def differing_indexes(purifier: Purifier, folder: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the published epochs whose files are not what the store says, with the problem and what is left."""
    published = set(published_epochs(folder))
    for index in purifier.indexes():
        if index.epoch in published:
            try:
                EpochIndex.read(folder, index.epoch)
                wrong = [name for name, content in index.files().items() if (folder / name).read_bytes() != content]
                what = f"{wrong} are not what the store says" if wrong else ""
            except DamagedError as error:
                what = str(error)
            if what:
                yield index.epoch, what, "all of it: it can be written again (--rewrite)"
    for epoch in sorted(published):
        if epoch > purifier.epoch:
            yield epoch, f"is newer than the store, which is at epoch {purifier.epoch}", "the index"
