"""Blocks of bytes by key in an LMDB environment: whole transactions or nothing, every block with its checksum.

LMDB survives kill -9 and a full disk, but has no checksums, cannot share an environment with a forked process, and must
not be on a network file system. This module handles all of that.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from numpy.typing import NDArray

from sciu.purification.errors import DamagedError, PurifierError, WriteFailedError, declared
from sciu.purification.store.network import refuse_network
from sciu.purification.store.pages import DATA, require_sound_pages

_READERS, _LOCK, _WITNESS = "lock.mdb", "store.lock", "last_event"
FILES = {DATA, _READERS, _LOCK, _WITNESS, f".{DATA}.partial"}
_READERS_SIZE = 8192
_WITNESS_DIGITS = 20
_RECORDING, _OPEN, _WRITING = 0, 1, 2  # bytes of the lock file
_MAP_SIZE = 64 << 30  # address space, not memory or disk: 300 million clips, or 450 epochs of `auto` for ten million
_MAP_GROWTH = 4  # times the file, if that is more; before it is half full


_open_stores: weakref.WeakSet[Store] = weakref.WeakSet()


def _after_fork() -> None:
    """Release the parent's locks in a forked child."""
    for store in _open_stores:
        store.release_locks()


os.register_at_fork(after_in_child=_after_fork)


class Store:
    """An LMDB environment in its own folder. Not for several threads at once."""

    def __init__(self, folder: Path, *, create: bool = False, read_only: bool = False, network: bool = False) -> None:
        self.folder = folder
        self.records = False  # whether this is the process that records
        self._read_only = read_only
        self._pid = os.getpid()
        self._snapshot: Transaction | None = None
        self._lock: int | None = None
        self._is_alone = False
        self._env: Any = None
        if not network:
            refuse_network(folder)
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        elif not (folder / DATA).is_file():
            raise PurifierError(f"'{folder}' must hold a purifier's store, but has no {DATA}. Is it the right folder?")
        try:
            self._hold(_OPEN, fcntl.F_RDLCK, "is being compacted")
            if (folder / DATA).exists() and (folder / DATA).stat().st_size:
                require_sound_pages(folder)
            self._environment()
            self._refuse_older()
        except BaseException:
            self.close()
            raise
        _open_stores.add(self)

    def _environment(self) -> Any:
        """Open the environment, again if a failed write has left it unusable.

        No other process may write meanwhile. A process that finds no locks of others resets what LMDB's lock file says
        of the last transaction, also if those locks have ended early (see `_alone`): one committed in between is lost.
        """
        if self._env is None:
            readers = self.folder / _READERS if (self.folder / _READERS).exists() else self.folder
            unlocked = self._read_only and not os.access(readers, os.W_OK)
            with self._explained("opened"), self._alone():
                if not unlocked:
                    _reserve(self.folder / _READERS)
                self._env = lmdb.open(
                    str(self.folder), map_size=self._map_size(), readonly=self._read_only, lock=not unlocked,
                    meminit=False,
                )  # fmt: skip
        return self._env

    def _map_size(self) -> int:
        data = self.folder / DATA
        return max(_MAP_SIZE, _MAP_GROWTH * data.stat().st_size if data.exists() else 0)

    def _roomy(self) -> Any:
        """Return the environment, its map enlarged if it is half full: by us, or by another process."""
        environment = self._environment()
        if self._snapshot is None and 2 * environment.info()["map_size"] < (size := self._map_size()):
            environment.set_mapsize(size)  # not while this process reads
        return environment

    def close(self) -> None:
        """Close the environment and release all locks."""
        if self._env is not None:
            self._env.close()
            self._env = None
        self.release_locks()  # last: a process that compacts must not find the old file in use
        self._pid = 0

    def release_locks(self) -> None:
        """Close the lock file; in a forked child that does not affect the parent's locks."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock, self.records = None, False

    def claim_recording(self) -> None:
        """Become the one process that records; the kernel releases the claim when the process ends, however it does."""
        self._hold(_RECORDING, fcntl.F_WRLCK, "is being recorded to")
        self.records = True

    def _hold(self, byte: int, kind: int, what: str) -> None:
        """Lock a byte of the lock file until its descriptor is closed; reading or copying the file does not end it."""
        if self._lock is None:
            try:
                self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError:
                if self._read_only:
                    return  # read-only media or permissions; no process compacts there
                raise
        try:
            fcntl.fcntl(self._lock, fcntl.F_OFD_SETLK, _span(kind, byte))
        except (BlockingIOError, PermissionError):
            raise PurifierError(f"'{self.folder}' {what} by another process. Wait until that ends.") from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait for other writers. LMDB's own lock ends as soon as this process copies or hashes its lock file.

        In a nested block, and on media that are read only, there is nothing to wait for.
        """
        if self._is_alone or self._lock is None:
            yield
            return
        fcntl.fcntl(self._lock, fcntl.F_OFD_SETLKW, _span(fcntl.F_WRLCK, _WRITING))
        self._is_alone = True
        try:
            yield
        finally:
            self._is_alone = False
            if self._lock is not None:
                fcntl.fcntl(self._lock, fcntl.F_OFD_SETLK, _span(fcntl.F_UNLCK, _WRITING))

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Read one state of the store, however long it takes and whatever others write; also in nested blocks."""
        self._check_process()
        if self._snapshot is not None:
            yield self._snapshot
            return
        with self._explained("read"), self._roomy().begin(buffers=True) as transaction:
            self._snapshot = Transaction(transaction, self.folder)
            try:
                yield self._snapshot
            finally:
                self._snapshot = None

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Change the store: everything if the block ends without an error, nothing otherwise."""
        self._check_process()
        if self._read_only:
            raise PurifierError(f"'{self.folder}' was opened for reading only. Open it without `read_only`.")
        with self._explained("written"), self._alone():
            self._environment().reader_check()  # slots of killed readers would keep old pages alive
            with self._roomy().begin(write=True, buffers=True) as transaction:
                changing = Transaction(transaction, self.folder)
                yield changing
                changing.put_json("transaction", transaction.id())
                events = changing.head.events
        self._witness(events)

    def compact(self) -> tuple[int, int]:
        """Rewrite the store without its free pages and close it; return its size before and after.

        No other process may have it open: it would continue with the old file.
        """
        self._check_process()
        self._hold(_OPEN, fcntl.F_WRLCK, "is open")
        data, partial = self.folder / DATA, self.folder / f".{DATA}.partial"
        before = data.stat().st_size
        try:
            with self._explained("written", partial):
                with partial.open("wb") as file:
                    self._environment().copyfd(file.fileno(), compact=True)
                    os.fsync(file.fileno())
                partial.replace(data)
        finally:
            partial.unlink(missing_ok=True)
            self.close()
        return before, data.stat().st_size

    def _witness(self, events: int) -> None:
        """Write the last event's number beside the file, in place and always as many bytes; nothing is lost without it.

        A single flipped bit in a meta page makes LMDB return the previous state without an error. This detects it.
        """
        path = self.folder / _WITNESS
        with suppress(OSError), path.open("r+b" if path.exists() else "wb") as file:
            file.write(b"%0*d\n" % (_WITNESS_DIGITS, events))

    def _refuse_older(self) -> None:
        """Raise if the file is not the newest, by its own transaction number and by the witness beside it."""
        path = self.folder / _WITNESS
        content = path.read_bytes().strip() if path.exists() else b""
        if content and not (content.isdigit() and len(content) <= _WITNESS_DIGITS):
            raise DamagedError(f"'{path}' must hold the number of an event, but holds {content[:30]!r}. Remove it.")
        with self.reading() as transaction:
            if not transaction.has("meta"):
                return  # not finished, or not ours: `read_meta` reports it
            events, number = transaction.head.events, transaction.get_count("transaction", 2**63)
            witnessed, engine = int(content or 0), transaction.number
        if number < engine:
            raise DamagedError(
                f"'{self.folder}' is damaged: its last transaction says it is {number}, but is {engine}."
                f" Restore a sound copy of {DATA}."
            )
        if events < witnessed:
            raise DamagedError(
                f"'{self.folder}' is damaged or an old copy: it has {events} events, but there were {witnessed}."
                f" Restore the right {DATA}, or remove '{path}' to continue with this one."
            )

    def _check_process(self) -> None:
        if self._pid == 0:
            raise PurifierError(f"'{self.folder}' was closed. Open it again.")
        if self._pid != os.getpid():
            raise PurifierError(
                f"'{self.folder}' was opened in process {self._pid}, but is used in {os.getpid()}, forked from it:"
                " an inherited LMDB environment corrupts the file. Close it there, and open it again."
            )

    @contextmanager
    def _explained(self, what: str, file: Path | None = None) -> Iterator[None]:
        """Convert the errors of LMDB and of the disk to ours; `file` is the one that is written, if not the store's."""
        try:
            yield
        except (lmdb.Error, OSError) as error:
            if what == "read" and isinstance(error, OSError):  # not from the store, but from the block that reads it
                raise
            reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
            reason = reason.replace(f"{self.folder}: ", "").rstrip(".")
            if isinstance(error, lmdb.CorruptedError | lmdb.InvalidError | lmdb.PageNotFoundError):
                raise DamagedError(f"'{self.folder}' is damaged: {reason}. See `sciu-purify verify`.") from error
            if what != "written":
                where = (error.filename if isinstance(error, OSError) else None) or self.folder
                raise PurifierError(f"'{where}' cannot be {what}: {reason}.") from error
            if self._env is not None:  # after a failed write of a meta page LMDB refuses everything
                self._env.close()
                self._env = None
            disk = os.statvfs(self.folder)
            free = disk.f_bavail * disk.f_frsize
            raise WriteFailedError(
                f"'{file or self.folder / DATA}' cannot be written: {reason}, with {free:,} bytes free."
                " Nothing acknowledged is lost. Free some space, then continue."
            ) from error


@dataclass(frozen=True)
class Head:
    """How many events there are, and which epoch is open."""

    events: int
    epoch: int


class Transaction:
    """Blocks as of one moment. A value is its payload and a checksum of key and payload."""

    def __init__(self, transaction: Any, folder: Path) -> None:
        self.known: dict[str, Any] = {}  # what was read of blocks that are written once, and is needed often
        self._transaction = transaction
        self._folder = folder

    @property
    def number(self) -> int:
        """LMDB's number of the state that is read."""
        return int(self._transaction.id())

    @property
    def empty(self) -> bool:
        """Whether the store has no blocks."""
        return not self._transaction.stat()["entries"]

    def get(self, key: str) -> memoryview:
        """Return a block's payload, valid as long as the transaction; raise if it is not what was written."""
        value = self._transaction.get(key.encode())
        if value is None:
            raise DamagedError(f"block '{key}' of '{self._folder}' is missing. `sciu-purify verify` says what is left.")
        payload: memoryview = value[:-4]
        if len(value) < 4 or _checksum(key, payload).to_bytes(4, "little") != bytes(value[-4:]):
            raise DamagedError(
                f"block '{key}' of '{self._folder}' is damaged: its checksum does not match."
                " `sciu-purify verify` says what is left."
            )
        return payload

    def has(self, key: str) -> bool:
        """Return whether a block exists."""
        return self._transaction.get(key.encode()) is not None

    def put(self, key: str, *parts: bytes | memoryview) -> None:
        """Write a block."""
        self.known.pop(key, None)
        self._transaction.put(key.encode(), b"".join([*parts, _checksum(key, *parts).to_bytes(4, "little")]))

    def keys(self) -> list[str]:
        """Return all keys, in order."""
        return [bytes(key).decode("utf-8", "replace") for key in self._transaction.cursor().iternext(values=False)]

    def get_json(self, key: str) -> Any:
        """Return a block's JSON content."""
        try:
            return json.loads(bytes(self.get(key)))
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DamagedError(f"block '{key}' of '{self._folder}' is damaged: {type(error).__name__}.") from error

    def get_count(self, key: str, most: int) -> int:
        """Return a block's number, at least 0 and at most `most`."""
        value = self.get_json(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise DamagedError(f"block '{key}' of '{self._folder}' is damaged: it is no number from 0 to {most}.")
        return value

    @property
    def head(self) -> Head:
        """How many events there are, and which epoch is open."""
        head = declared(Head, self.get_json("head"), f"block 'head' of '{self._folder}'")
        if not 0 <= head.epoch <= head.events <= self._transaction.stat()["entries"]:
            raise DamagedError(f"block 'head' of '{self._folder}' is damaged: there is no {head}.")
        return head

    def put_head(self, head: Head) -> None:
        """Write how many events there are, and which epoch is open."""
        self.put_json("head", asdict(head))

    def put_json(self, key: str, content: Any) -> None:
        """Write a block of JSON."""
        self.put(key, json.dumps(content, sort_keys=True, ensure_ascii=False).encode())

    def get_array(self, key: str, dtype: np.dtype[Any] | type) -> NDArray[Any]:
        """Return a block's numbers, copied: they outlive the transaction."""
        content = self.get(key)
        if len(content) % np.dtype(dtype).itemsize:
            raise DamagedError(f"block '{key}' of '{self._folder}' is damaged: it ends within a value.")
        return np.frombuffer(content, dtype).copy()

    def put_array(self, key: str, array: NDArray[Any]) -> None:
        """Write a block of numbers."""
        self.put(key, np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")


def _checksum(key: str, *parts: bytes | memoryview) -> int:
    value = zlib.crc32(key.encode())  # a block stored under another's key is damage too
    for part in parts:
        value = zlib.crc32(part, value)
    return value


def _span(kind: int, byte: int) -> bytes:
    """Return the `struct flock` of one byte."""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0)


def _reserve(path: Path) -> None:
    """Allocate LMDB's table of readers: it is mapped, and on a full disk a hole in it kills the process."""
    if path.exists() and path.stat().st_blocks * 512 >= _READERS_SIZE:
        return  # opening and closing it would end LMDB's own locks in this process
    with path.open("ab") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, _READERS_SIZE)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error  # which it does not name
