"""Create a store, checked before a byte is written, and read the description of one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.purification.clip_state import Action, ClipStates
from sciu.purification.errors import DamagedError, PolicyError, PurifierError, whole
from sciu.purification.event import Event
from sciu.purification.rules.policy import Policy
from sciu.purification.rules.registry import policy_from_json, policy_to_json
from sciu.purification.store import layout
from sciu.purification.store.list_lines import Lines
from sciu.purification.store.pages import DATA
from sciu.purification.store.records import as_array
from sciu.purification.store.store import FILES, Head, Store, Transaction


def create_store(
    folder: Path,
    *,
    labels: Any,
    num_classes: int,
    policy: Policy,
    paths: Sequence[str] | None,
    class_names: Sequence[str] | None,
    fingerprint: str,
    network: bool,
) -> Store:
    """Write a store in one transaction: if that is interrupted, there is no store."""
    num_classes = whole("num_classes", num_classes)
    given = _checked_labels(labels, num_classes)
    names = _checked_names(class_names, num_classes)
    lines = Lines.render(
        [str(clip) for clip in range(len(given))] if paths is None else [os.fspath(path) for path in paths]
    )
    if len(lines) != len(given):
        raise PurifierError(f"`paths` must be as many as `labels`, {len(given)}, but are {len(lines)}.")
    if folder.exists() and (not folder.is_dir() or _has_content(folder)):
        raise PurifierError(f"'{folder}' must be new or empty, but is not. `Purifier.open` opens a store.")
    created = Event.now("create")
    meta = layout.Meta(
        schema=layout.SCHEMA, clips=len(given), num_classes=num_classes, class_names=names,
        policy=policy_to_json(policy), fingerprint=fingerprint or _fingerprint(given, lines, names),
        created=created.time,
    )  # fmt: skip
    states = ClipStates.begin(given)
    store, ours = Store(folder, create=True, network=network), False
    try:
        store.claim_recording()
        with store.writing() as transaction:
            _refuse_existing(transaction, folder)
            ours = True
            transaction.put_head(Head(events=0, epoch=0))
            layout.save_lines(transaction, lines)
            layout.save_states(transaction, states)
            event = layout.append_event(transaction, created, states.rows(Action.PIN, np.zeros(0, np.int64)))
            layout.open_epoch(transaction, 1, event.number)
            layout.save_meta(transaction, meta)
    except BaseException:
        if ours:  # a file torn by a full disk would block the next try
            (folder / DATA).unlink(missing_ok=True)
        store.close()
        raise
    return store


def _refuse_existing(transaction: Transaction, folder: Path) -> None:
    if not transaction.empty:
        what = "a store already. `Purifier.open` opens it" if transaction.has("meta") else "another LMDB"
        raise PurifierError(f"'{folder}' must be new or empty, but holds {what}.")


def read_meta(transaction: Transaction, folder: Path) -> layout.Meta:
    """Return a store's description; raise if it is no store, or one that this version cannot read."""
    if transaction.empty:
        raise PurifierError(f"'{folder}' holds a store that was never finished. `Purifier.create` creates it again.")
    if not transaction.has("meta"):
        raise DamagedError(f"'{folder}' is an LMDB, but not a purifier's store, or damaged. Is it the right folder?")
    content = transaction.get_json("meta")
    schema = content.get("schema") if isinstance(content, dict) else content
    if schema != layout.SCHEMA:
        raise PurifierError(
            f"'{folder}' has schema {schema}, but this version of sciu reads schema {layout.SCHEMA}."
            " Use the version that wrote it."
        )
    return layout.load_meta(transaction)


def require_same(meta: layout.Meta, folder: Path, *, fingerprint: str, policy: Policy | None) -> None:
    """Raise unless a store is of a dataset, if its fingerprint is given, and of a policy, if one is."""
    _refuse_others(folder, "dataset", fingerprint, meta.fingerprint)
    if policy is None:
        return
    expected, found = policy_to_json(policy), policy_to_json(policy_from_json(meta.policy))
    if expected["method"] == found["method"] and (unknown := sorted(meta.policy.keys() - found.keys())):
        raise PurifierError(
            f"'{folder}' was created by a version of sciu whose method {found['method']} decided otherwise: it has"
            f" {', '.join(unknown)}, which this version has not. All of it can be shown, exported and pinned, but to be"
            " continued it needs that version. Use that one, or start a new run."
        )
    for name in sorted(expected.keys() | found.keys(), key=lambda name: (name != "method", name)):
        _refuse_others(folder, f"policy's `{name}`", expected.get(name), found.get(name))


def _refuse_others(folder: Path, what: str, expected: Any, found: Any) -> None:
    if expected not in ("", found):
        raise PurifierError(
            f"'{folder}' must be of this {what}: here it is {expected!r}, in the store {found!r}."
            " Use the store that belongs to it, or create a new one."
        )


def _has_content(folder: Path) -> bool:
    """Return whether there is more than a killed `create` may have left."""
    return not {entry.name for entry in folder.iterdir()} <= FILES


def _checked_labels(labels: Any, num_classes: int) -> NDArray[np.int16]:
    given = as_array("labels", labels)
    if not 2 <= num_classes <= layout.MOST_CLASSES:
        raise PolicyError(
            f"`num_classes` must be a whole number from 2 to {layout.MOST_CLASSES}, but is {num_classes!r}."
        )
    if given.ndim != 1 or not len(given) or not np.issubdtype(given.dtype, np.integer):
        raise PurifierError(f"`labels` must be a list of class numbers, but is {given.dtype} of shape {given.shape}.")
    wrong = np.flatnonzero((given < -1) | (given >= num_classes))
    if len(wrong):
        raise PurifierError(
            f"`labels` must be from 0 to {num_classes - 1}, or -1, but clip {wrong[0]} has {given[wrong[0]]}."
        )
    if not (given >= 0).any():
        raise PurifierError("`labels` must have a clip that trains, but all are -1.")
    return given.astype(np.int16)


def _checked_names(names: Sequence[str] | None, num_classes: int) -> list[str]:
    checked = [str(k) for k in range(num_classes)] if names is None else [str(name) for name in names]
    if len(checked) != num_classes or len(set(checked)) != num_classes:
        raise PurifierError(f"`class_names` must be {num_classes} different names, but are {checked}.")
    return checked


def _fingerprint(given: NDArray[np.int16], lines: Lines, names: list[str]) -> str:
    digest = hashlib.sha256(given.tobytes())
    digest.update(lines.text)
    digest.update("\n".join(names).encode())
    return digest.hexdigest()
