"""Files that are whole or absent: atomic writes, folders that appear when finished, one writer at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sciu.pipeline.dataset.errors import DatasetError


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write under a temporary name, then rename: a reader sees the old file or the new one, never a part.

    `durable` waits for the disk. It costs milliseconds a file, so media that can be made again go without.
    """
    partial = path.with_name(f".{path.name}.partial")
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
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the one writer's lock of `folder`; the kernel frees it with the process, however that ends."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatasetError(f"'{folder}' is being written by another process. Wait until it has ended.") from None
        yield
    finally:
        os.close(descriptor)


def refuse_existing(folder: Path) -> None:
    """Refuse a folder that holds anything: no command overwrites what it did not make."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DatasetError(f"output folder must be new or empty, but '{folder}' is not. Choose another, or remove it.")


@contextmanager
def new_folder(folder: Path, *, keep_partial: bool = False) -> Iterator[Path]:
    """Yield `<folder>.partial` to work in; it becomes `folder` in one rename when the block ends well.

    With `keep_partial` what was made survives a failure, for a later run to go on with.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would look through the user's own links
    refuse_existing(folder)
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True, exist_ok=True)
    with only_writer(partial):
        if not keep_partial:
            _empty(partial)
        try:
            yield partial
            refuse_existing(folder)
            partial.replace(folder)
            sync_folder(folder.parent)
        except BaseException:
            if not keep_partial:
                shutil.rmtree(partial, ignore_errors=True)
            raise


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
