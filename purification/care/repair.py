"""Make a store with damaged blocks usable again, as far as its history allows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sciu.purification.care.audit import damaged_keys
from sciu.purification.clip_state import ClipStates
from sciu.purification.errors import DamagedError
from sciu.purification.store import layout
from sciu.purification.store.score_plane import Plane
from sciu.purification.store.store import Store, Transaction

_REPLAYED = ("label", "status")
_RESET = ("slot", "fresh", "plane", "running")


def repair(folder: Path) -> list[str]:
    """Rebuild labels and status from the history, reset damaged scores; return the keys of the repaired blocks."""
    store = Store(folder)
    try:
        store.claim_recording()
        with store.writing() as transaction:
            damaged = damaged_keys(transaction)
            hopeless = [key for key in damaged if key.split("/")[0] not in _REPLAYED + _RESET]
            if hopeless:
                raise DamagedError(f"'{folder}' cannot be repaired: {hopeless[0]} is damaged. Restore a copy of it.")
            _rebuild(transaction, damaged)
    finally:
        store.close()
    return damaged


def _rebuild(transaction: Transaction, damaged: list[str]) -> None:
    meta = layout.load_meta(transaction)
    clips, classes, planes = meta.clips, meta.num_classes, meta.policy["window"] + 1
    given = np.concatenate([transaction.get_array(f"given/{b:04d}", np.int16) for b, _ in layout.blocks(clips)])
    past = layout.replay(transaction, ClipStates.begin(given), transaction.get_json("head")["events"])
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
