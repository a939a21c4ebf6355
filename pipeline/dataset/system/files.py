"""Atomic writes, folders that appear when finished, and one writer at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.errors import SettingError


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write under a temporary name, then rename: a reader sees the old file or the new one, never a part.

    `durable` waits for the disk. It costs milliseconds per file, so media that can be written again are not durable.
    """
    partial = path.with_name(f".{path.name}.partial")
    if path.exists() and not path.is_file():
        raise SettingError(f"'{path}' must be a file or new, but is a folder or a device. Choose another.")
    try:
        with partial.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # writing does not say to which file
        raise
    if durable:
        sync_folder(path.parent)


def sha256(content: bytes) -> str:
    """Return what identifies a file's content in records."""
    return hashlib.sha256(content).hexdigest()


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def only_writer(file: Path) -> Iterator[None]:
    """Hold a file's exclusive writer lock; the kernel releases it when the process ends.

    It locks a file opened for writing, not the folder, because NFS locks nothing else. A writer may replace the file.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not (_locked(descriptor) and _is_at(descriptor, file)):
            raise DatasetError(f"'{file.parent}' is being written by another process. Wait until it ends.")
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, file: Path) -> bool:
    """Return whether an open file still has its name: the writer before us may have renamed another over it."""
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


_MARKER = ".sciu-partial"


@contextmanager
def new_folder(folder: Path, *, maker: str, keep_partial: bool = False) -> Iterator[Path]:
    """Yield `<folder>.partial` to work in, and rename it to `folder` when the block succeeds.

    With `keep_partial` the work survives a failure, so that a later run of the same maker can continue it.
    """
    folder = require_new_folder(Path(os.path.abspath(folder)))  # noqa: PTH100 - resolve() would follow the user's own links
    partial = folder.with_name(folder.name + ".partial")
    if partial.is_symlink():
        raise DatasetError(f"'{partial}' must not be a link. Remove it, or choose another output folder.")
    partial.mkdir(parents=True, exist_ok=True)
    with only_writer(partial / _MARKER):
        _claim(partial, maker)
        if not keep_partial:
            _empty(partial)
        try:
            yield partial
            require_new_folder(folder)
            partial.replace(folder)
            (folder / _MARKER).unlink()
            sync_folder(folder.parent)
        except BaseException:
            if not keep_partial:
                shutil.rmtree(partial, ignore_errors=True)
            raise


def require_new_folder(folder: Path) -> Path:
    """Refuse, before any work is done, a folder that cannot be created or is not empty."""
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise SettingError(f"output folder must have a UTF-8 name, but is {str(folder)!r}. Choose another.") from None
    if folder.is_symlink() or folder.is_mount() or folder == Path.cwd():
        raise SettingError(f"output folder must not be a link, a mount point or the current folder, but is '{folder}'.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingError(f"output folder must be new or empty, but '{folder}' is not. Choose another, or remove it.")
    return folder


def _claim(partial: Path, maker: str) -> None:
    """Mark a partial folder as ours; accept one with files only if the same maker left them."""
    marker = partial / _MARKER
    owner = marker.read_text("utf-8", "replace")
    if owner != maker and any(entry != marker for entry in partial.iterdir()):
        if not owner:
            marker.unlink()
        what = f"an unfinished {owner}" if owner else "files that sciu did not write"
        raise DatasetError(f"'{partial}' holds {what}. Remove it, or choose another output folder.")
    marker.write_text(maker)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name == _MARKER:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
