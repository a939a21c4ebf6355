"""Does a store hold together: pages, checksums, history and columns, decisions and scores, the published indexes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sciu.purification import layout
from sciu.purification.errors import DamagedError, PurifierError
from sciu.purification.index import EpochIndex, published_epochs
from sciu.purification.purifier import Purifier
from sciu.purification.ring import weigh_stored
from sciu.purification.state import Action, ClipStates
from sciu.purification.store import Store, Transaction, structural_problems

_LEFT = {
    "meta": "nothing can be read without it; the labels of every published epoch are in index/*.labels.npy",
    "head": "nothing can be read without it; the labels of every published epoch are in index/*.labels.npy",
    "lines": "paths of these clips; the dataset has them",
    "given": "labels of these clips; the dataset has them",
    "label": "all of it: the history says what the labels are (--repair)",
    "status": "all of it: the history says what was pruned (--repair)",
    "slot": "all decisions; scores of these clips begin anew (--repair)",
    "fresh": "all decisions; scores of these clips begin anew (--repair)",
    "plane": "all decisions; scores of these clips begin anew (--repair)",
    "event": "labels and status as they are now; not how they came to be",
    "rows": "labels and status as they are now; not how they came to be",
    "opened": "labels and status as they are now; not the index of this epoch",
}


@dataclass(frozen=True)
class Problem:
    """What is wrong, and what is left of it."""

    where: str
    what: str
    left: str


def audit(folder: Path, index_folder: Path | None = None) -> list[Problem]:
    """Look at everything; what is found first may hide the rest."""
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
    """Return the keys of all blocks whose checksum does not fit."""
    found = []
    for key in transaction.keys(""):
        try:
            transaction.get(key)
        except DamagedError:
            found.append(key)
    return found


def _damaged_blocks(transaction: Transaction) -> list[Problem]:
    found = []
    for key in damaged_keys(transaction):
        name, number = key.split("/")[0], key.rpartition("/")[2]
        first = int(number) * layout.BLOCK if number.isdigit() and name in (*ClipStates.CHANGING, "plane") else None
        where = key if first is None else f"{key} (clips {first} to {first + layout.BLOCK - 1})"
        found.append(Problem(where, "its checksum does not fit", _LEFT.get(name, "unknown: not one of our blocks")))
    return found


def _against_history(purifier: Purifier) -> list[Problem]:
    try:
        with purifier.store.reading() as transaction:
            now = layout.load_states(transaction, purifier.clips)
            past = layout.replay(transaction, now, transaction.get_json("head")["events"])
    except DamagedError as error:
        return [Problem("history", str(error), _LEFT["rows"])]
    wrong = [name for name in ("label", "status") if not np.array_equal(getattr(now, name), getattr(past, name))]
    return [Problem(name, "is not what the history says", _LEFT[name]) for name in wrong]


def _last_decision(purifier: Purifier) -> list[Problem]:
    """Weigh the stored scores again: they must say what the last decision's rows say."""
    with purifier.store.reading() as transaction:
        epoch = transaction.get_json("head")["epoch"]
        rows = layout.load_rows(transaction, transaction.get_json(f"opened/{epoch:05d}"))
        states = layout.load_states(transaction, purifier.clips)
        evidence = weigh_stored(
            transaction, states, classes=purifier.num_classes, window=purifier.policy.window,
            weighted=purifier.policy.weighted,
        )  # fmt: skip
    rows = rows[np.isin(rows["action"], (Action.PRUNE, Action.CORRECT)) & (evidence.scores[rows["clip"]] > 0)]
    again = evidence.confidence[rows["clip"]].astype(np.float32)
    wrong = rows["clip"][(again != rows["confidence"]) & (evidence.scores[rows["clip"]] >= purifier.policy.window)]
    what = f"{len(wrong)} decisions are not what their scores say, the first of them about clip {wrong[:1].tolist()}"
    return [Problem(f"epoch {epoch - 1}", what, "the decisions as they are recorded")] if len(wrong) else []


def _indexes(purifier: Purifier, folder: Path | None) -> list[Problem]:
    found = []
    for epoch in published_epochs(folder) if folder else []:
        assert folder is not None
        where = f"index of epoch {epoch}"
        if epoch > purifier.epoch:
            found.append(Problem(where, f"is newer than the store, which is at epoch {purifier.epoch}", "the index"))
            continue
        try:
            EpochIndex.read(folder, epoch)
            files = purifier.index_at(epoch).files()
            differing = [name for name, content in files.items() if (folder / name).read_bytes() != content]
        except PurifierError as error:
            found.append(Problem(where, str(error), "all of it: it can be written again (--rewrite)"))
            continue
        left = "it can be written again (--rewrite)"
        found += [Problem(where, f"'{name}' is not what the store says", left) for name in differing]
    return found
