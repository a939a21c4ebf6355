"""Blocks of bytes by key in an LMDB environment: whole transactions or nothing, every block with its checksum.

LMDB survives kill -9 and a full disk, but has no checksums, shares no environment between processes that forked, and
must not lie on a network file system. All of that is dealt with here.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import struct
import time
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import lmdb
import lmdb.verify
import numpy as np
from numpy.typing import NDArray

from sciu.purification.errors import DamagedError, PurifierError, WriteFailedError

DATA, _READERS, _LOCK, _WITNESS = "data.mdb", "lock.mdb", "store.lock", "last_event"
FILES = {DATA, _READERS, _LOCK, _WITNESS, f".{DATA}.partial"}
_READERS_SIZE = 8192
_RECORDING, _OPEN, _WRITING = 0, 1, 2  # bytes of the lock file
_MAP_SIZE = 64 << 30  # address space, not memory or disk: 300 million clips
_NETWORKS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "fuse.sshfs",
             "fuse.glusterfs", "fuse.s3fs"}  # fmt: skip


_open_stores: weakref.WeakSet[Store] = weakref.WeakSet()


def _after_fork() -> None:
    """Let a forked child have no part in the parent's locks."""
    for store in _open_stores:
        store.let_go_of_locks()


os.register_at_fork(after_in_child=_after_fork)


class Store:
    """An environment in a folder of its own. Not for several threads at once."""

    def __init__(self, folder: Path, *, create: bool = False, read_only: bool = False, network: bool = False) -> None:
        self.folder = folder
        self.records = False  # whether this is the one that records
        self._read_only = read_only
        self._pid = os.getpid()
        self._snapshot: Transaction | None = None
        self._lock: int | None = None
        self._env: Any = None
        if not network:
            _refuse_network(folder)
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        elif not (folder / DATA).is_file():
            raise PurifierError(f"'{folder}' must hold a purifier's store, but has no {DATA}. Is it the right folder?")
        try:
            self._hold(_OPEN, fcntl.F_RDLCK, "is being compacted")
            if (folder / DATA).exists() and (folder / DATA).stat().st_size:
                _check_structure(folder)
            self._environment()
            self._refuse_older()
        except BaseException:
            self.close()
            raise
        _open_stores.add(self)

    def _environment(self) -> Any:
        """Open the environment, again where a failed write has left it unusable."""
        if self._env is None:
            readers = self.folder / _READERS if (self.folder / _READERS).exists() else self.folder
            unlocked = self._read_only and not os.access(readers, os.W_OK)
            with self._told("opened"):
                if not unlocked:
                    _reserve(self.folder / _READERS)
                self._env = lmdb.open(
                    str(self.folder), map_size=_MAP_SIZE, readonly=self._read_only, lock=not unlocked, meminit=False
                )
        return self._env

    def close(self) -> None:
        """Let go of the environment and of all locks."""
        if self._env is not None:
            self._env.close()
            self._env = None
        self.let_go_of_locks()  # last: who compacts must find nobody with the old file
        self._pid = 0

    def let_go_of_locks(self) -> None:
        """Close the lock file; in a forked child that leaves the parent's locks alone."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock, self.records = None, False

    def claim_recording(self) -> None:
        """Be the one process that records; the kernel gives the claim back with the process, however it ends."""
        self._hold(_RECORDING, fcntl.F_WRLCK, "is being recorded to")
        self.records = True

    def _hold(self, byte: int, kind: int, what: str) -> None:
        """Lock a byte of the lock file, until its descriptor is closed: reading or copying the file does not end it."""
        if self._lock is None:
            try:
                self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError:
                if self._read_only:
                    return  # media or permissions; nobody compacts read-only media
                raise
        try:
            fcntl.fcntl(self._lock, fcntl.F_OFD_SETLK, _span(kind, byte))
        except (BlockingIOError, PermissionError):
            raise PurifierError(f"'{self.folder}' {what} by another process. Wait until that has ended.") from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait for other writers. LMDB's own locks end as soon as this process copies or hashes its lock file."""
        assert self._lock is not None
        fcntl.fcntl(self._lock, fcntl.F_OFD_SETLKW, _span(fcntl.F_WRLCK, _WRITING))
        try:
            yield
        finally:
            if self._lock is not None:
                fcntl.fcntl(self._lock, fcntl.F_OFD_SETLK, _span(fcntl.F_UNLCK, _WRITING))

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """See one state of the store, however long it takes and whoever writes meanwhile; also in nested blocks."""
        self._check_process()
        if self._snapshot is not None:
            yield self._snapshot
            return
        with self._told("read"), self._environment().begin(buffers=True) as transaction:
            self._snapshot = Transaction(transaction, self.folder)
            try:
                yield self._snapshot
            finally:
                self._snapshot = None

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Change the store: all of it when the block ends well, nothing otherwise."""
        self._check_process()
        if self._read_only:
            raise PurifierError(f"'{self.folder}' was opened for reading only. Open it without `read_only`.")
        with self._told("written"), self._alone():
            self._environment().reader_check()  # slots of killed readers would keep old pages alive
            with self._environment().begin(write=True, buffers=True) as transaction:
                changing = Transaction(transaction, self.folder)
                yield changing
                changing.put_json("transaction", transaction.id())
                events = changing.get_json("head")["events"]
        self._witness(events)

    def compact(self) -> tuple[int, int]:
        """Write the store anew without its free pages; return its size before and after. It is closed then.

        Nobody else may have it open: they would go on with the old file.
        """
        self._check_process()
        self._hold(_OPEN, fcntl.F_WRLCK, "is open")
        data, partial = self.folder / DATA, self.folder / f".{DATA}.partial"
        before = data.stat().st_size
        try:
            with self._told("written"):
                with partial.open("wb") as file:
                    self._environment().copyfd(file.fileno(), compact=True)
                    os.fsync(file.fileno())
                partial.replace(data)
        finally:
            partial.unlink(missing_ok=True)
            self.close()
        return before, data.stat().st_size

    def _witness(self, events: int) -> None:
        """Note the last event beside the file, in place and always in as many bytes; without it nothing is lost.

        A single flipped bit in a meta page makes LMDB serve the state before it, in good order. This tells.
        """
        path = self.folder / _WITNESS
        with suppress(OSError), path.open("r+b" if path.exists() else "wb") as file:
            file.write(b"%020d\n" % events)

    def _refuse_older(self) -> None:
        """Refuse a file that is not the newest: by its own transaction number, and by the witness beside it."""
        path = self.folder / _WITNESS
        content = path.read_bytes().strip() if path.exists() else b""
        if content and not content.isdigit():
            raise DamagedError(f"'{path}' must hold the number of an event, but holds {content[:30]!r}. Remove it.")
        with self.reading() as transaction:
            if not transaction.has("meta"):
                return  # not finished, or not ours: told by whoever reads it
            events, number = transaction.get_json("head")["events"], transaction.get_json("transaction")
            witnessed, engine = int(content or 0), transaction.number
        if number < engine:
            raise DamagedError(
                f"'{self.folder}' is damaged: its last transaction says it is {number}, but is {engine}."
                f" Bring a sound copy of {DATA} back."
            )
        if events < witnessed:
            raise DamagedError(
                f"'{self.folder}' is damaged or an old copy: it has {events} events, but there were {witnessed}."
                f" Bring the right {DATA} back, or remove '{path}' to go on with this one."
            )

    def _check_process(self) -> None:
        if self._pid == 0:
            raise PurifierError(f"'{self.folder}' was closed. Open it again.")
        if self._pid != os.getpid():
            raise PurifierError(
                f"'{self.folder}' was opened in process {self._pid}, but is used in {os.getpid()}, forked from it:"
                " an inherited LMDB environment tears the file. Close it there, and open it anew."
            )

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn the errors of LMDB and of the disk into ours."""
        try:
            yield
        except (lmdb.Error, OSError) as error:
            if what == "read" and isinstance(error, OSError):  # not of the store: of whoever looks at it meanwhile
                raise
            reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
            reason = reason.replace(f"{self.folder}: ", "").rstrip(".")
            if isinstance(error, lmdb.CorruptedError | lmdb.InvalidError | lmdb.PageNotFoundError):
                raise DamagedError(f"'{self.folder}' is damaged: {reason}. See `sciu-purify verify`.") from error
            if what != "written":
                raise PurifierError(f"'{self.folder}' cannot be {what}: {reason}.") from error
            if self._env is not None:  # after a failed write of a meta page LMDB refuses everything
                self._env.close()
                self._env = None
            free = os.statvfs(self.folder)
            raise WriteFailedError(
                f"'{self.folder}' cannot be written: {reason}, with {free.f_bavail * free.f_frsize:,} bytes free."
                " Nothing acknowledged is lost. Free some space, then go on."
            ) from error


class Transaction:
    """Blocks as of one moment. A value is its payload and a checksum of key and payload."""

    def __init__(self, transaction: Any, folder: Path) -> None:
        self._transaction = transaction
        self._folder = folder

    @property
    def number(self) -> int:
        """LMDB's number of the state that is seen."""
        return int(self._transaction.id())

    @property
    def empty(self) -> bool:
        """Whether there is nothing at all."""
        return not self._transaction.stat()["entries"]

    def get(self, key: str) -> memoryview:
        """Return a block's payload, valid as long as the transaction; refuse one that is not what was written."""
        value = self._transaction.get(key.encode())
        if value is None:
            raise DamagedError(f"block '{key}' of '{self._folder}' is missing. `sciu-purify verify` says what is left.")
        payload: memoryview = value[:-4]
        if len(value) < 4 or _checksum(key, payload).to_bytes(4, "little") != bytes(value[-4:]):
            raise DamagedError(
                f"block '{key}' of '{self._folder}' is damaged: its checksum does not fit."
                " `sciu-purify verify` says what is left."
            )
        return payload

    def has(self, key: str) -> bool:
        """Say whether there is such a block."""
        return self._transaction.get(key.encode()) is not None

    def put(self, key: str, *parts: bytes | memoryview) -> None:
        """Write a block."""
        self._transaction.put(key.encode(), b"".join([*parts, _checksum(key, *parts).to_bytes(4, "little")]))

    def keys(self) -> list[str]:
        """Return all keys, in order."""
        return [bytes(key).decode("utf-8", "replace") for key in self._transaction.cursor().iternext(values=False)]

    def get_json(self, key: str) -> Any:
        """Return a block's content."""
        return json.loads(bytes(self.get(key)))

    def put_json(self, key: str, content: Any) -> None:
        """Write a block."""
        self.put(key, json.dumps(content, sort_keys=True, ensure_ascii=False).encode())

    def get_array(self, key: str, dtype: np.dtype[Any] | type) -> NDArray[Any]:
        """Return a block's numbers, copied: they outlive the transaction."""
        return np.frombuffer(self.get(key), dtype).copy()

    def put_array(self, key: str, array: NDArray[Any]) -> None:
        """Write a block."""
        self.put(key, np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")


def _checksum(key: str, *parts: bytes | memoryview) -> int:
    value = zlib.crc32(key.encode())  # a block under another's key is damage too
    for part in parts:
        value = zlib.crc32(part, value)
    return value


def _span(kind: int, byte: int) -> bytes:
    """Return the `struct flock` of one byte."""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0)


def _check_structure(folder: Path) -> None:
    """Refuse a file whose pages do not hold together: LMDB trusts them and would crash."""
    problems = structural_problems(folder)
    if problems:
        raise DamagedError(
            f"'{folder}' is damaged: {problems[0]}. Take a copy of it, and `sciu-purify verify` to see what is left."
        )


def structural_problems(folder: Path) -> list[str]:
    """Audit the file page by page, without the engine; again where a writer changed it meanwhile."""
    problems: list[str] = []
    for attempt in range(5):
        time.sleep(0.02 * attempt)
        problems = _audit_pages(folder)
        if not problems:
            break
    return problems


def _audit_pages(folder: Path) -> list[str]:
    try:
        problems: list[Any] = lmdb.verify.verify(str(folder))  # type: ignore[no-untyped-call]
        return [str(problem) for problem in problems] + _meta_problems(folder / DATA)
    except lmdb.verify.VerifyError as error:
        return [str(error)]
    except OSError as error:
        raise PurifierError(f"'{folder}' cannot be read: {error.strerror}.") from error


def _meta_problems(data: Path) -> list[str]:
    """Look at the two meta pages: LMDB writes them in turn, so their transactions follow each other."""
    with data.open("rb") as file:
        page = int.from_bytes(file.read(44)[40:], "little")
        file.seek(0)
        pages = file.read(2 * page)
    first, second = (int.from_bytes(pages[at + 144 : at + 152], "little") for at in (0, page))
    problems = []
    if abs(first - second) != 1 and (first, second) != (0, 0):
        problems.append(f"the meta pages are of transactions {first} and {second}, which do not follow each other")
    for at in (0, page):
        flags = tuple(int.from_bytes(pages[at + field : at + field + 2], "little") for field in (44, 92))
        if flags != (8, 0):  # of the list of free pages (integer keys) and of our blocks
            problems.append(f"a meta page has flags {flags}, which LMDB never wrote there")
    return problems


def _reserve(path: Path) -> None:
    """Give LMDB's table of readers real blocks: it is mapped, and on a full disk a hole in it kills the process."""
    if path.exists() and path.stat().st_blocks * 512 >= _READERS_SIZE:
        return  # closing a descriptor of it would end LMDB's own locks in this process
    with path.open("ab") as file:
        os.posix_fallocate(file.fileno(), 0, _READERS_SIZE)


def _refuse_network(folder: Path) -> None:
    kind, mount = _file_system(folder)
    if kind in _NETWORKS:
        raise PurifierError(
            f"'{folder}' must be on a local disk, but '{mount}' is a network file system ({kind}), where LMDB loses"
            " data as soon as two machines open it. Choose a local folder, or `network=True` if only one ever will."
        )


def _file_system(folder: Path) -> tuple[str, str]:
    """Return the type and place of the mount that a folder is on."""
    path = os.path.realpath(folder)
    best = ("", "")
    for line in Path("/proc/mounts").read_text().splitlines():
        mount, kind = line.split()[1:3]
        mount = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), mount)
        if (path == mount or path.startswith(mount.rstrip("/") + "/")) and len(mount) >= len(best[1]):
            best = (kind, mount)
    return best
