"""Checkpoints, in files that are whole or absent: `last.pt`, `best.pt`, and one for each of the last epochs."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sciu.models.errors import ModelError
from sciu.models.torch_file import read_torch
from sciu.pipeline.dataset.system.files import sync_folder, write_atomically
from sciu.pipeline.train.errors import RunError, TrainError
from sciu.pipeline.train.record.reading import read
from sciu.pipeline.train.record.run_state import RunState

FORMAT = 1
_KINDS: dict[str, Any] = {
    "run": str, "state": RunState, "amp": str, "scaler": dict[str, Any],
    "of_each_rank": list[dict[str, dict[str, Tensor]]],
}  # fmt: skip
_KINDS_IF_PRESENT: dict[str, Any] = {"backbone": str, "classes": list[str]}  # earlier versions did not write them
LAST, BEST = "last.pt", "best.pt"
_OF_EPOCH = re.compile(r"epoch_[0-9]{5,7}\.pt")


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
        """Return the epochs that have their own file, ascending; files with other names are not ours."""
        numbers = (int(path.stem[6:]) for path in self.folder.glob("epoch_*.pt") if _OF_EPOCH.fullmatch(path.name))
        return sorted(epoch for epoch in numbers if (self.folder / _name(epoch)).exists())

    def latest(self) -> Path | None:
        """Return the newest checkpoint; if the last one is missing, the newest epoch's replaces it."""
        if not (self.folder / LAST).exists() and (epochs := self.epochs()):
            self._link(LAST, _name(epochs[-1]))
        return self.folder / LAST if (self.folder / LAST).exists() else None

    def newest(self, run: str) -> dict[str, Any] | None:
        """Read the newest checkpoint of a run, by the run's unique name; None if there is none yet."""
        if (path := self.latest()) is None:
            return None
        content = read_checkpoint(path)
        require_whole(path, content)
        if content["run"] != run:
            raise RunError(f"checkpoint '{path}' must be of run {run}, but is of {content['run']}. Remove it.")
        return content

    def find(self, name: str) -> Path:
        """Return the file of a checkpoint by its name: last, best, or an epoch's number."""
        paths = sorted(self.folder.glob("*.pt"))
        there = {path.stem: path for path in paths if not path.stem.startswith("epoch_")}
        there |= {str(epoch): self.folder / _name(epoch) for epoch in self.epochs()}
        if name not in there:
            names = f"There are: {', '.join(there)}." if there else "There is none yet: the first epoch writes one."
            raise RunError(f"checkpoint '{name}' does not exist in '{self.folder}'. {names}")
        return there[name]

    def load(self, name: str) -> dict[str, Any]:
        """Read a checkpoint by its name."""
        return read_checkpoint(self.find(name))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, the whole of it: its checksums are verified."""
    try:
        content: Any = read_torch(io.BytesIO(path.read_bytes()))
    except ModelError as error:
        raise RunError(f"checkpoint '{path}' is damaged: {error}. {_way_on(path)}.") from error
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise RunError(f"checkpoint '{path}' must hold a run's state by name, but holds a {kind}. {_way_on(path)}.")
    if content.get("format") != FORMAT:
        raise RunError(f"checkpoint '{path}' must be of format {FORMAT}, but is {content.get('format')}. Update sciu.")
    return content


def require_whole(path: Path, content: dict[str, Any]) -> None:
    """Raise unless a checkpoint holds all that a run is resumed from, besides its network's tensors."""
    try:
        for name, kind in {**_KINDS, **_KINDS_IF_PRESENT}.items():
            if name in content or name in _KINDS:
                read(kind, content.get(name), name)
    except TypeError as error:
        raise RunError(f"checkpoint '{path}' is damaged: {error}. {_way_on(path)}.") from error


def require_fitting(path: Path, content: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Raise unless a checkpoint's tensors are those that are wanted: torch would stretch one, or leave some out."""
    for group, tensors in wanted.items():
        saved = content[group] if isinstance(content.get(group), dict) else {}
        for name in {**tensors, **saved}:
            if fault := _fault(saved.get(name), tensors.get(name)):
                raise RunError(
                    f"checkpoint '{path}' does not fit the network: {group} '{name}' {fault}. Has the code of the"
                    " backbone changed? Bring back what the run was trained with, or begin a new run."
                )


def _fault(saved: Any, wanted: Tensor | None) -> str:
    if wanted is None or saved is None:
        return f"is in the {'network' if saved is None else 'checkpoint'} only"
    if not isinstance(saved, Tensor) or saved.layout != torch.strided:
        return "is not a dense tensor in the checkpoint"
    if saved.shape != wanted.shape or saved.is_floating_point() != wanted.is_floating_point() or saved.is_complex():
        return f"is {_described(saved)} in the checkpoint and {_described(wanted)} in the network"
    return ""


def _described(tensor: Tensor) -> str:
    return f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


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
        raise TrainError(
            f"'{folder}' must have {size:,} bytes free for a checkpoint, but has {free:,}. The last one is intact:"
            " free some space and --resume."
        )


def _name(epoch: int) -> str:
    return f"epoch_{epoch:05d}.pt"
