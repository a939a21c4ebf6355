"""Where a run stands, in files that are whole or absent: `last.pt`, `best.pt`, and the last epochs' own."""

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
    """A folder of them."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self._keep = keep

    def save(self, content: dict[str, Any]) -> None:
        """Write where the run stands."""
        buffer = io.BytesIO()
        torch.save({"format": FORMAT, **content}, buffer)
        require_room(self.folder, buffer.tell())
        write_atomically(self.folder / LAST, buffer.getvalue())

    def name(self, epoch: int, *, best: bool) -> None:
        """Give the last file, an ended epoch's, its other names; to do so again changes nothing."""
        self._link(_name(epoch))
        if best:
            self._link(BEST)
        for old in self.epochs()[: -self._keep]:
            (self.folder / _name(old)).unlink()
        sync_folder(self.folder)

    def _link(self, name: str, source_name: str = LAST) -> None:
        """Give a file a second name, which costs nothing; some file systems know copies only."""
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
        """Return the epochs that have a file of their own, ascending."""
        return sorted(int(path.stem[6:]) for path in self.folder.glob("epoch_*.pt"))

    def latest(self) -> Path | None:
        """Return the newest file; without a last one, an epoch's becomes it."""
        if not (self.folder / LAST).exists() and (epochs := self.epochs()):
            self._link(LAST, _name(epochs[-1]))
        return self.folder / LAST if (self.folder / LAST).exists() else None

    def load(self, name: str) -> dict[str, Any]:
        """Read a checkpoint by its name: last, best, or an epoch's number."""
        path = self.folder / (_name(int(name)) if name.isdecimal() else f"{name}.pt")
        if not path.exists():
            there = ", ".join(sorted(each.stem for each in self.folder.glob("*.pt"))) or "none"
            raise RunError(f"checkpoint '{path}' must be there, but is not. There are: {there}.")
        return read_checkpoint(path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a file, its checksums held against its content: torch does not look at them."""
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
    """Say what to remove, all names of the file, and where --resume then goes on."""
    every = sorted(path.parent.glob("*.pt"))
    same = [each.name for each in every if each.samefile(path)]
    others = [each.name for each in every if each.name.startswith("epoch_") and each.name not in same]
    where = f"from {others[-1]}" if others else "from the beginning"
    return f"Remove {' and '.join(same)}, and --resume goes on {where}"


def require_room(folder: Path, size: int) -> None:
    """Refuse to begin what the disk has no room for."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size:
        raise RunError(
            f"'{folder}' must have {size:,} bytes free for a checkpoint, but has {free:,}. The last one is untouched:"
            " free some space, then --resume goes on from it."
        )


def _name(epoch: int) -> str:
    return f"epoch_{epoch:05d}.pt"
