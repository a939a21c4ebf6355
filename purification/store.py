"""Blocks of bytes by key in an LMDB environment: whole transactions or nothing, every block with its checksum.

LMDB survives kill -9 and a full disk, but has no checksums, shares no environment between processes that forked, and
must not lie on a network file system. All of that is dealt with here.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb
import lmdb.verify
import numpy as np
from numpy.typing import NDArray

from sciu.purification.errors import DamagedError, PurifierError, WriteFailedError

_DATA = "data.mdb"
_RECORDING = "recording.lock"
_WITNESS = "last_transaction"
FILES = {_DATA, "lock.mdb", _RECORDING, _WITNESS}
_MAP_SIZE = 64 << 30  # address space, not memory or disk: 300 million clips
_NETWORKS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "fuse.sshfs",
             "fuse.glusterfs", "fuse.s3fs"}  # fmt: skip


class Store:
    """An environment in a folder of its own."""

    def __init__(self, folder: Path, *, create: bool = False, read_only: bool = False, network: bool = False) -> None:
        self.folder = folder
        self._read_only = read_only
        self._pid = os.getpid()
        self._recording: int | None = None
        if not network:
            _refuse_network(folder)
        if create:
            folder.mkdir(parents=True, exist_ok=True)
        else:
            _check_structure(folder)
        witnessed = self._witnessed()
        self._env = self._open(create=create)
        self._refuse_older(witnessed)
        if not read_only:
            self._env.reader_check()  # slots of killed readers keep old pages alive

    def _open(self, *, create: bool) -> Any:
        media_read_only = self._read_only and not os.access(self.folder, os.W_OK)
        with self._told("opened"):
            return lmdb.open(
                str(self.folder), map_size=_MAP_SIZE, create=create, readonly=self._read_only,
                lock=not media_read_only, meminit=False,
            )  # fmt: skip

    def close(self) -> None:
        """Let go of the environment and of the recording lock."""
        if self._pid == os.getpid():
            self._env.close()
            if self._recording is not None:
                os.close(self._recording)
                self._recording = None

    def claim_recording(self) -> None:
        """Be the one process that records; the kernel gives the claim back with the process, however it ends."""
        descriptor = os.open(self.folder / _RECORDING, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise PurifierError(
                f"'{self.folder}' is being recorded to by another process. Wait until that has ended, or stop it."
            ) from None
        self._recording = descriptor

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """See one state of the store, however long it takes and whoever writes meanwhile."""
        self._check_process()
        with self._told("read"), self._env.begin(buffers=True) as transaction:
            yield Transaction(transaction, self.folder)

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Change the store: all of it when the block ends well, nothing otherwise."""
        self._check_process()
        if self._read_only:
            raise PurifierError(f"'{self.folder}' was opened for reading only. Open it without `read_only`.")
        with self._told("written"):
            with self._env.begin(write=True, buffers=True) as transaction:
                yield Transaction(transaction, self.folder)
            self._witness(self._env.info()["last_txnid"])

    def compact(self) -> tuple[int, int]:
        """Write the store anew without its free pages; return its size before and after. Nobody else may have it open.

        The new file takes the old one's place in one rename; this object is closed by it.
        """
        self._check_process()
        data, partial = self.folder / _DATA, self.folder / f".{_DATA}.partial"
        before = data.stat().st_size
        try:
            with self._told("compacted"):
                with partial.open("wb") as file:
                    self._env.copyfd(file.fileno(), compact=True)
                    os.fsync(file.fileno())
                self._env.close()
                self._witness(0)  # the new file counts its transactions from the beginning
                partial.replace(data)
        finally:
            partial.unlink(missing_ok=True)
        self.close()
        return before, data.stat().st_size

    def _witness(self, number: int) -> None:
        """Note the last transaction beside the file, always in as many bytes, so that a full disk does not matter.

        A single flipped bit in a meta page makes LMDB serve the state before it, in good order. This tells.
        """
        with (self.folder / _WITNESS).open("r+b" if (self.folder / _WITNESS).exists() else "wb") as file:
            file.write(b"%020d\n" % number)

    def _witnessed(self) -> int:
        path = self.folder / _WITNESS
        content = path.read_bytes() if path.exists() else b"0"
        if not content.strip().isdigit():
            raise DamagedError(f"'{path}' must hold a transaction's number, but holds {content[:30]!r}. Remove it.")
        return int(content)

    def _refuse_older(self, witnessed: int) -> None:
        found = self._env.info()["last_txnid"]
        if found < witnessed:
            self._env.close()
            raise DamagedError(
                f"'{self.folder}' is damaged or an old copy: its last transaction was {witnessed}, but the file has"
                f" {found}. Bring the right {_DATA} back; to go on with this one, remove '{self.folder / _WITNESS}'."
            )

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            raise PurifierError(
                f"'{self.folder}' was opened in process {self._pid}, but is used in {os.getpid()}, forked from it."
                " Open it there anew; an inherited LMDB environment tears the file."
            )

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn LMDB's errors into ours."""
        try:
            yield
        except lmdb.Error as error:
            reason = str(error).replace(f"{self.folder}: ", "")
            if isinstance(error, lmdb.CorruptedError | lmdb.InvalidError | lmdb.PageNotFoundError):
                raise DamagedError(f"'{self.folder}' is damaged: {reason}. See `sciu-purify verify`.") from error
            if what in ("written", "compacted"):
                free = os.statvfs(self.folder)
                raise WriteFailedError(
                    f"'{self.folder}' cannot be written: {reason}, with {free.f_bavail * free.f_frsize:,} bytes free."
                    " Nothing acknowledged is lost. Free some space, then go on."
                ) from error
            raise PurifierError(f"'{self.folder}' cannot be {what}: {reason}.") from error


class Transaction:
    """Blocks as of one moment. A value is its payload and a checksum of key and payload."""

    def __init__(self, transaction: Any, folder: Path) -> None:
        self._transaction = transaction
        self._folder = folder

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

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with something, in order."""
        found, start = [], prefix.encode()
        cursor = self._transaction.cursor()
        if cursor.set_range(start):
            for key in cursor.iternext(keys=True, values=False):
                if bytes(key[: len(start)]) != start:
                    break
                found.append(bytes(key).decode("utf-8", "replace"))
        return found

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


def _check_structure(folder: Path) -> None:
    """Refuse a file whose pages do not hold together: LMDB trusts them and would crash.

    Asked again where somebody writes meanwhile, for the pages then change under the reader.
    """
    if not (folder / _DATA).is_file():
        raise PurifierError(f"'{folder}' must hold a purifier's store, but has no {_DATA}. Is it the right folder?")
    problems = structural_problems(folder)
    for _ in range(3):
        if problems:
            problems = structural_problems(folder)
    if problems:
        raise DamagedError(
            f"'{folder}' is damaged: {problems[0]}. Take a copy of it, and `sciu-purify verify` to see what is left."
        )


def structural_problems(folder: Path) -> list[str]:
    """Audit the file page by page, without the engine."""
    try:
        problems: list[Any] = lmdb.verify.verify(str(folder))  # type: ignore[no-untyped-call]
        return [str(problem) for problem in problems] + _meta_problems(folder / _DATA)
    except (lmdb.verify.VerifyError, OSError) as error:
        return [str(error)]


def _meta_problems(data: Path) -> list[str]:
    """Compare the two meta pages: LMDB writes them in turn, so their transactions follow each other."""
    with data.open("rb") as file:
        head = file.read(44)
        file.seek(0)
        pages = file.read(2 * int.from_bytes(head[40:44], "little"))
    first, second = (int.from_bytes(pages[at + 144 : at + 152], "little") for at in (0, len(pages) // 2))
    if abs(first - second) == 1 or (first, second) == (0, 0):
        return []
    return [f"the meta pages are of transactions {first} and {second}, which do not follow each other"]


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
        mount = mount.encode().decode("unicode_escape")
        if (path == mount or path.startswith(mount.rstrip("/") + "/")) and len(mount) >= len(best[1]):
            best = (kind, mount)
    return best
