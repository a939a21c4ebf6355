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

from sciu.pipeline.dataset.files import write_atomically
from sciu.pipeline.train.errors import RunError

FORMAT = 1
_DAMAGE = zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError
LAST, BEST = "last.pt", "best.pt"


class Checkpoints:
    """A folder of them."""

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self._keep = keep

    def save(self, content: dict[str, Any], *, ended: int = 0, best: bool = False) -> None:
        """Write where the run stands; `ended` names the epoch that has just ended, 0 in the middle of one."""
        buffer = io.BytesIO()
        torch.save({"format": FORMAT, **content}, buffer)
        self.folder.mkdir(parents=True, exist_ok=True)
        _require_room(self.folder, buffer.tell())
        write_atomically(self.folder / LAST, buffer.getvalue())
        if ended:
            self._link(_name(ended))
            for epoch in self.epochs()[: -self._keep]:
                (self.folder / _name(epoch)).unlink()
        if best:
            self._link(BEST)

    def _link(self, name: str) -> None:
        """Give the last file a second name, which costs nothing; some file systems know copies only."""
        partial = self.folder / f".{name}.partial"
        partial.unlink(missing_ok=True)
        try:
            os.link(self.folder / LAST, partial)
        except OSError:
            shutil.copyfile(self.folder / LAST, partial)
        partial.replace(self.folder / name)

    def epochs(self) -> list[int]:
        """Return the epochs that have a file of their own, ascending."""
        return sorted(int(path.stem[6:]) for path in self.folder.glob("epoch_*.pt"))

    def latest(self) -> Path | None:
        """Return the newest file."""
        names = [LAST, *(_name(epoch) for epoch in reversed(self.epochs()))]
        return next((self.folder / name for name in names if (self.folder / name).exists()), None)

    def load(self, name: str) -> dict[str, Any]:
        """Read a checkpoint by its name: last, best, or an epoch's number."""
        path = self.folder / (_name(int(name)) if name.isdigit() else f"{name}.pt")
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
        others = [each for each in sorted(path.parent.glob("epoch_*.pt")) if not each.samefile(path)]
        go_on = f"Remove it, and --resume goes on from {others[-1].name}" if others else "There is no other in the run"
        raise RunError(f"checkpoint '{path}' is damaged: {str(error).splitlines()[0]}. {go_on}.") from error
    if content.get("format") != FORMAT:
        raise RunError(f"checkpoint '{path}' must be of format {FORMAT}, but is {content.get('format')}. Update sciu.")
    return content


def _require_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise RunError(
            f"'{folder}' must have {size:,} bytes free for a checkpoint, but has {free:,}. The last one is untouched:"
            " free some space, then --resume goes on from it."
        )


def _name(epoch: int) -> str:
    return f"epoch_{epoch:05d}.pt"
