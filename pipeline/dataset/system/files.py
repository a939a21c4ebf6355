"""Files that are whole or absent: atomic writes, folders that appear when finished, one writer at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.errors import SettingError


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write under a temporary name, then rename: a reader sees the old file or the new one, never a part.

    `durable` waits for the disk. It costs milliseconds a file, so media that can be made again go without.
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
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def only_writer(file: Path) -> Iterator[None]:
    """Hold the one writer's lock of a file; the kernel frees it with the process, however that ends.

    A file opened for writing, not its folder: NFS locks nothing else.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatasetError(
                f"'{file.parent}' is being written by another process. Wait until it has ended."
            ) from None
        yield
    finally:
        os.close(descriptor)


_MARKER = ".sciu-partial"


@contextmanager
def new_folder(folder: Path, *, maker: str, keep_partial: bool = False) -> Iterator[Path]:
    """Yield `<folder>.partial` to work in; it becomes `folder` in one rename when the block ends well.

    With `keep_partial` what was made survives a failure, for a later run of the same maker to go on with.
    """
    folder = _usable(Path(os.path.abspath(folder)))  # noqa: PTH100 - resolve() would look through the user's own links
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
            _usable(folder)
            partial.replace(folder)
            (folder / _MARKER).unlink()
            sync_folder(folder.parent)
        except BaseException:
            if not keep_partial:
                shutil.rmtree(partial, ignore_errors=True)
            raise


def _usable(folder: Path) -> Path:
    """Refuse, before any work is done, a folder that could not be made or that holds anything."""
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise SettingError(
            f"output folder must have a name in UTF-8, but is {str(folder)!r}. Choose another."
        ) from None
    if folder.is_symlink() or folder.is_mount() or folder == Path.cwd():
        raise SettingError(f"output folder must not be a link, a mount point or the current folder, but is '{folder}'.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingError(f"output folder must be new or empty, but '{folder}' is not. Choose another, or remove it.")
    return folder


def _claim(partial: Path, maker: str) -> None:
    """Mark a partial folder as ours; go into a filled one only if the same maker left it there."""
    marker = partial / _MARKER
    owner = marker.read_text("utf-8", "replace")
    if owner != maker and any(entry != marker for entry in partial.iterdir()):
        if not owner:
            marker.unlink()
        what = f"an unfinished {owner}" if owner else "something that is not ours"
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
