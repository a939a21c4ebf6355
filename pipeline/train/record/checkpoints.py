"""Checkpoints, in files that are whole or absent: `last.pt`, `best.pt`, and one for each of the last epochs."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from sciu.pipeline.dataset.system.files import sync_folder, write_atomically
from sciu.pipeline.errors import first_line
from sciu.pipeline.train.errors import RunError

FORMAT = 1
_DAMAGE = zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError
LAST, BEST = "last.pt", "best.pt"


class Checkpoints:
    """A folder of checkpoints."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self._keep = keep

    def save(self, content: dict[str, Any]) -> None:
        """Write the last checkpoint."""
        buffer = io.BytesIO()
        torch.save({"format": FORMAT, **content}, buffer)
        require_room(self.folder, buffer.tell())
        write_atomically(self.folder / LAST, buffer.getvalue())

    def name(self, epoch: int, *, best: bool) -> None:
        """Give the last checkpoint, of an ended epoch, its other names; doing so again changes nothing."""
        self._link(_name(epoch))
        if best:
            self._link(BEST)
        for old in self.epochs()[: -self._keep]:
            (self.folder / _name(old)).unlink()
        sync_folder(self.folder)

    def _link(self, name: str, source_name: str = LAST) -> None:
        """Give a file a second name, at no cost; copy it where the file system has no hard links."""
        source, target, partial = (self.folder / each for each in (source_name, name, f".{name}.partial"))
        if target.exists() and target.samefile(source):  # renaming one name of a file to another does nothing at all
            return
        partial.unlink(missing_ok=True)
        try:
            os.link(source, partial)
        except OSError:
            shutil.copyfile(source, partial)
        partial.replace(target)

    def epochs(self) -> list[int]:
        """Return the epochs that have their own file, ascending."""
        return sorted(int(path.stem[6:]) for path in self.folder.glob("epoch_*.pt"))

    def latest(self) -> Path | None:
        """Return the newest checkpoint; if the last one is missing, the newest epoch's replaces it."""
        if not (self.folder / LAST).exists() and (epochs := self.epochs()):
            self._link(LAST, _name(epochs[-1]))
        return self.folder / LAST if (self.folder / LAST).exists() else None

    def load(self, name: str) -> dict[str, Any]:
        """Read a checkpoint by its name: last, best, or an epoch's number."""
        path = self.folder / (_name(int(name)) if name.isdecimal() else f"{name}.pt")
        if not path.exists():
            there = ", ".join(sorted(each.stem for each in self.folder.glob("*.pt"))) or "none"
            raise RunError(f"checkpoint '{path}' does not exist. There are: {there}.")
        return read_checkpoint(path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint and verify its checksums, which torch ignores."""
    file = io.BytesIO(path.read_bytes())
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.namelist():
                archive.read(member)
        file.seek(0)
        content: dict[str, Any] = torch.load(file, "cpu", weights_only=True)
    except _DAMAGE as error:
        raise RunError(f"checkpoint '{path}' is damaged: {first_line(error)}. {_way_on(path)}.") from error
    if content.get("format") != FORMAT:
        raise RunError(f"checkpoint '{path}' must be of format {FORMAT}, but is {content.get('format')}. Update sciu.")
    return content


def _way_on(path: Path) -> str:
    """Say what to remove, all names of the file, and where --resume then continues."""
    every = sorted(path.parent.glob("*.pt"))
    same = [each.name for each in every if each.samefile(path)]
    others = [each.name for each in every if each.name.startswith("epoch_") and each.name not in same]
    where = f"from {others[-1]}" if others else "from the beginning"
    return f"Remove {' and '.join(same)}, and --resume continues {where}"


def require_room(folder: Path, size: int) -> None:
    """Raise if the disk has too little space for a checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size:
        raise RunError(
            f"'{folder}' must have {size:,} bytes free for a checkpoint, but has {free:,}. The last one is intact:"
            " free some space and --resume."
        )


def _name(epoch: int) -> str:
    return f"epoch_{epoch:05d}.pt"
