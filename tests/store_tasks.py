"""Tasks on a purifier's store for processes of their own, which can import this file."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import noisy_clips

from sciu.purification import Purifier, PurifierError, WriteFailedError
from sciu.purification.store import store

_kept: dict[Path, Purifier] = {}


def end_epoch_with_little_room(folder: Path, room: int) -> tuple[str, dict[str, bytes]]:
    """End an epoch with so many bytes for the file to grow; if it does not fit, again with all it wants."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Purifier.open(folder) as purifier:
        ids = purifier.index().ids
        purifier.record(ids, *noisy_clips.scores(purifier.epoch, ids))
        before, events = purifier.index().files(), len(purifier.events())
        _limit_files((folder / "data.mdb").stat().st_size + room)
        try:
            return "", purifier.end_epoch().files()
        except WriteFailedError as error:
            said = str(error)
        unchanged = purifier.index().files() == before and len(purifier.events()) == events
        _limit_files(resource.RLIM_INFINITY)
        return said if unchanged else "something changed", purifier.end_epoch().files()


def _limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def pin_too(folder: Path, recording: bool) -> str:
    """Open a store that another process records to, and pin a clip."""
    try:
        with Purifier.open(folder, recording=recording) as purifier:
            purifier.pin(0, "drop")
    except PurifierError as error:
        return str(error)
    return "pinned"


def compact_too(folder: Path) -> str:
    """Compact a store that another process may have open."""
    try:
        Purifier.open(folder).store.compact()
    except PurifierError as error:
        return str(error)
    return "compacted"


def events_seen(folder: Path, addresses: int) -> int:
    """Return how many events there are in a store; keep it open for the next call."""
    store._MAP_SIZE = addresses
    if folder not in _kept:
        _kept[folder] = Purifier.open(folder, read_only=True)
    return len(_kept[folder].events())
