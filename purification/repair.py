"""Make a store with damaged blocks usable again, as far as history goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sciu.purification import layout
from sciu.purification.audit import damaged_keys
from sciu.purification.errors import DamagedError
from sciu.purification.planes import Plane
from sciu.purification.state import ClipStates
from sciu.purification.store import Store, Transaction

_REPLAYED = ("label", "status")
_BEGUN_ANEW = ("slot", "fresh", "plane")


def repair(folder: Path) -> list[str]:
    """Rebuild labels and status from the history, begin damaged scores anew; return the keys of the mended blocks."""
    store = Store(folder)
    try:
        store.claim_recording()
        with store.writing() as transaction:
            damaged = damaged_keys(transaction)
            hopeless = [key for key in damaged if key.split("/")[0] not in _REPLAYED + _BEGUN_ANEW]
            if hopeless:
                raise DamagedError(f"'{folder}' cannot be mended: {hopeless[0]} is damaged. Go back to a copy of it.")
            _mend(transaction, damaged)
    finally:
        store.close()
    return damaged


def _mend(transaction: Transaction, damaged: list[str]) -> None:
    meta = transaction.get_json("meta")
    clips, classes = meta["clips"], meta["num_classes"]
    given = np.concatenate([transaction.get_array(f"given/{b:04d}", np.int16) for b, _ in layout.blocks(clips)])
    past = layout.replay(transaction, ClipStates.begin(given), transaction.get_json("head")["events"])
    for key in damaged:
        name, number = key.split("/")[0], int(key.rpartition("/")[2])
        span = slice(number * layout.BLOCK, min((number + 1) * layout.BLOCK, clips))
        if name in _REPLAYED:
            transaction.put_array(key, getattr(past, name)[span])
            continue
        for column in ("slot", "fresh"):
            transaction.put_array(f"{column}/{number:04d}", np.zeros(span.stop - span.start, np.uint8))
        if name == "plane":
            transaction.put(key, *Plane.empty(span.stop - span.start, classes).buffers())
