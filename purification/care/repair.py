"""Make a store with damaged blocks usable again, as far as its history and its dataset allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from sciu.purification.care.audit import damaged_keys
from sciu.purification.clip_state import ClipStates
from sciu.purification.errors import DamagedError, PurifierError
from sciu.purification.rules.registry import policy_from_json
from sciu.purification.store import layout
from sciu.purification.store.list_lines import Lines
from sciu.purification.store.score_plane import Plane
from sciu.purification.store.store import Store, Transaction

_REPLAYED = ("label", "status")
_RESET = ("slot", "fresh", "plane", "running")
_LISTED = "lines"

Listed = Callable[[], tuple[str, Sequence[str]] | None]
"""Return the fingerprint of a dataset and the paths that its lists have; None without a dataset."""


def repair(folder: Path, listed: Listed = lambda: None, *, relist: bool = False) -> list[str]:
    """Rebuild labels and status from the history, paths from the dataset, reset damaged scores.

    With `relist` the paths become the dataset's if they are sound, too. Returns the keys of the repaired blocks.
    """
    store = Store(folder)
    try:
        store.claim_recording()
        with store.writing() as transaction:
            damaged = damaged_keys(transaction)
            names = {key: key.split("/")[0] for key in damaged}
            hopeless = [key for key in damaged if names[key] not in (*_REPLAYED, *_RESET, _LISTED)]
            if hopeless:
                raise DamagedError(f"'{folder}' cannot be repaired: {hopeless[0]} is damaged. Restore a copy of it.")
            repaired = [key for key in damaged if names[key] != _LISTED]
            _rebuild(transaction, repaired)
            if relist or _LISTED in names.values():
                repaired += _list_again(transaction, folder, damaged, listed())
    finally:
        store.close()
    return repaired


def _list_again(
    transaction: Transaction, folder: Path, damaged: list[str], listed: tuple[str, Sequence[str]] | None
) -> list[str]:
    """Write all lines that are not the dataset's, which may have been moved since; return their keys."""
    meta = layout.load_meta(transaction)
    if listed is None or listed[0] != meta.fingerprint or len(listed[1]) != meta.clips:
        what = "none was found" if listed is None else "the one found is another"
        raise PurifierError(
            f"'{folder}' can be repaired only with its dataset, which has the paths that were damaged, but {what}."
            " Give its folder: `sciu-purify verify RUN --repair --data DIR`."
        )
    wanted = dict(layout.line_blocks(Lines.render(listed[1])))
    changed = [key for key, content in wanted.items() if key in damaged or transaction.get(key) != content]
    for key in changed:
        transaction.put(key, wanted[key])
    return changed


def _rebuild(transaction: Transaction, damaged: list[str]) -> None:
    meta = layout.load_meta(transaction)
    clips, classes, planes = meta.clips, meta.num_classes, policy_from_json(meta.policy).window + 1
    given = np.concatenate([transaction.get_array(f"given/{b:04d}", np.int16) for b, _ in layout.blocks(clips)])
    past = layout.replay(transaction, ClipStates.begin(given), transaction.head.events)
    spans = dict(layout.blocks(clips))
    for key in damaged:
        name, number = key.split("/")[0], int(key.rpartition("/")[2])
        if name in _REPLAYED:
            transaction.put_array(key, getattr(past, name)[spans[number]])
            continue
        length = spans[number].stop - spans[number].start
        if name == "running":
            transaction.put_array(key, np.zeros(classes * length, np.float16))
            continue
        for column in ("slot", "fresh"):
            transaction.put_array(f"{column}/{number:04d}", np.zeros(length, np.uint8))
        for plane in range(planes):
            layout.save_plane(transaction, plane, number, Plane.empty(length, classes))
