"""Parts of a pack, made by jobs on several machines: each packs a shard, and the pack without a shard joins them.

A part is a folder `<out>.parts/<number>-of-<count>`, which is made and continued like a whole pack. Jobs share nothing
that they write. Joining renames the files of the clips into the pack's folder, and can be continued, too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.importers.listing import some
from sciu.pipeline.dataset.media.probe import Probe
from sciu.pipeline.dataset.pack.clip import How, Packing
from sciu.pipeline.dataset.system.files import only_writer, write_atomically
from sciu.pipeline.errors import require

MEDIA = "media"
_SETTINGS = "pack.json"
_CLIPS = "clips.json"  # of a part: for each clip the number of its frames, or why it could not be packed
_REMOVED = "parts"  # inside the pack's folder, where the parts go when they are joined

Outcomes: TypeAlias = dict[int, tuple[Probe, How]]


@dataclass(frozen=True)
class Shard:
    """A share of the clips: every `count`-th one, so that long and short clips are spread evenly."""

    number: int  # from 1
    count: int

    def __post_init__(self) -> None:
        require(1 <= self.number <= self.count, "--shard", "1/N to N/N, as in 3/8", f"{self.number}/{self.count}")

    @classmethod
    def of(cls, text: str) -> Shard:
        """Read `3/8`."""
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        require(found is not None, "--shard", "I/N, as in 3/8", repr(text))
        assert found is not None
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def has(self, clip: int) -> bool:
        """Return whether a clip belongs to the shard."""
        return clip % self.count == self.number - 1


def _again(shard: Shard) -> str:
    return f"Remove it, and run the command with --shard {shard} again."


def _sizes_in(folder: Path) -> dict[str, int]:
    return {entry.name: entry.stat().st_size for entry in os.scandir(folder)} if folder.is_dir() else {}


@dataclass(frozen=True)
class Parts:
    """The parts of a pack that there are."""

    out: Path
    packing: Packing
    settings: dict[str, Any]  # of the pack

    @property
    def _all(self) -> Path:
        out = Path(os.path.abspath(self.out))  # noqa: PTH100 - resolve() would follow the user's own links
        return out.with_name(out.name + ".parts")

    def folder(self, shard: Shard) -> Path:
        """Return the folder of a part."""
        return self._all / f"{shard.number}-of-{shard.count}"

    def exist(self) -> bool:
        """Return whether any job has begun a part."""
        return self._all.is_dir()

    def require_same_division(self, shard: Shard) -> None:
        """Refuse a shard of another number than the parts there are."""
        others = {count for _, count in self._begun()} - {shard.count}
        if others:
            raise DatasetError(
                f"'{self._all}' holds parts of {min(others)}, but this is shard {shard}."
                f" Give --shard I/{min(others)}, or remove it to start again."
            )

    def read(self, shard: Shard, share: Iterable[int]) -> Outcomes:
        """Return what became of the shard's clips, of which the part must have every one."""
        folder = self.folder(shard)
        if not (folder / _SETTINGS).exists():
            raise DatasetError(f"'{folder}' is not a part of a pack. {_again(shard)}")
        same_settings(folder, {**self.settings, "shard": str(shard)})
        try:
            found = {int(clip): self._outcome(what) for clip, what in json.loads((folder / _CLIPS).read_text()).items()}
        except (OSError, ValueError, AttributeError, RecursionError):
            raise DatasetError(f"part '{folder}' is damaged. {_again(shard)}") from None
        if lacking := [clip for clip in share if clip not in found]:
            raise DatasetError(
                f"part '{folder}' lacks {len(lacking)} clips, such as clip {lacking[0]}, which `sciu-data check` has"
                f" released since. {_again(shard)}"
            )
        return {clip: found[clip] for clip in share}

    def begin(self, shard: Shard, folder: Path) -> None:
        """Begin or continue a part in a folder."""
        same_settings(folder, {**self.settings, "shard": str(shard)})

    def only_writer(self, shard: Shard) -> AbstractContextManager[None]:
        """Hold a finished part's writer lock, to pack clips of it again."""
        return only_writer(self.folder(shard) / _SETTINGS)

    def write(self, done: Outcomes, folder: Path) -> None:
        """Store what became of a shard's clips, after their files."""
        os.sync()  # once for all files, which were written without waiting for the disk
        found = {clip: outcome.fault or outcome.frames for clip, (outcome, _) in sorted(done.items())}
        write_atomically(folder / _CLIPS, json.dumps(found).encode())

    def join(self, wanted: Mapping[int, str], folder: Path) -> Outcomes:
        """Move the files of all parts into a pack's folder; `wanted` has their names by clip.

        Nothing is moved before every part was found to be whole. A file of a part replaces one that the folder has: an
        unfinished pack may have left it there, before its source was repaired.
        """
        shards = self._complete()
        shares: list[list[int]] = [[] for _ in shards]
        for clip in wanted:
            shares[clip % len(shards)].append(clip)
        media = folder / MEDIA
        media.mkdir(exist_ok=True)
        moved = _sizes_in(media)  # by a run that was stopped
        done: Outcomes = {}
        to_move: list[tuple[Path, list[str]]] = []
        for shard, share in zip(shards, shares, strict=True):
            done |= self.read(shard, share)
            names = [wanted[clip] for clip in share if done[clip][1] != "failed"]
            there = _sizes_in(self.folder(shard) / MEDIA)
            self._require_files(shard, names, moved | there)
            to_move.append((self.folder(shard) / MEDIA, [name for name in names if name in there]))
        for source, names in to_move:
            for name in names:
                (source / name).replace(media / name)
        return done

    def remove(self, folder: Path, *, joined: bool) -> None:
        """Remove the parts that were joined, now or by a run that was stopped; they are not found again.

        Parts that were not joined stay: jobs may be writing them.
        """
        removed = folder / _REMOVED
        if joined:
            if removed.exists():
                shutil.rmtree(removed)  # only an empty folder can be replaced
            self._all.replace(removed)
        shutil.rmtree(removed, ignore_errors=True)

    def _outcome(self, found: object) -> tuple[Probe, How]:
        if isinstance(found, str):
            return Probe(fault=found), "failed"
        if not isinstance(found, int) or found < 1:
            raise ValueError(found)
        return self.packing.packed(found), "kept"

    def _require_files(self, shard: Shard, names: list[str], sizes: Mapping[str, int]) -> None:
        if lost := [name for name in names if not sizes.get(name)]:
            raise DatasetError(
                f"part '{self.folder(shard)}' lacks {len(lost)} of its files, or they are empty, such as {lost[0]}."
                f" {_again(shard)}"
            )

    def _complete(self) -> list[Shard]:
        """Return the shards of all parts; refuse parts that are missing, or of several divisions."""
        begun = self._begun()
        counts = sorted({count for _, count in begun})
        if len(counts) > 1:
            raise DatasetError(
                f"'{self._all}' holds parts of {' and of '.join(map(str, counts))}. Remove the wrong ones."
            )
        shards = [Shard(number, counts[0]) for number in range(1, counts[0] + 1)] if counts else []
        missing = [str(shard) for shard in shards if not self.folder(shard).is_dir()]
        if missing or not shards:
            raise DatasetError(
                f"the parts in '{self._all}' are not complete: {some(missing) or 'all'} missing or unfinished."
                " Run the command with --shard for each of them first, or remove the folder to pack without them."
            )
        return shards

    def _begun(self) -> set[tuple[int, int]]:
        """Return the numbers and counts of the parts, finished or not."""
        begun = set()
        for entry in self._all.iterdir() if self.exist() else []:
            if entry.name.startswith("."):
                continue  # of a file system or a desktop, such as .nfs0001 and .DS_Store
            found = re.fullmatch(r"([0-9]+)-of-([0-9]+)(\.partial)?", entry.name)
            if found is None or not 1 <= int(found[1]) <= int(found[2]):
                raise DatasetError(f"'{entry}' is not a part of a pack. Remove it, and run the command again.")
            begun.add((int(found[1]), int(found[2])))
        return begun


def same_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse to continue a pack with other settings, which would mix two kinds of clips in one dataset."""
    path = folder / _SETTINGS
    if not path.exists():
        write_atomically(path, json.dumps(settings, indent=1).encode())
        return
    try:
        saved = dict(json.loads(path.read_text()))
    except (ValueError, TypeError, RecursionError):
        raise DatasetError(f"'{path}' is damaged. Remove '{folder}' to start again.") from None
    if different := [
        f"{key} {saved.get(key)} then, {value} now" for key, value in settings.items() if saved.get(key) != value
    ]:
        raise DatasetError(
            f"'{folder}' holds an unfinished pack with other settings: {'; '.join(different)}."
            " Give the same settings to continue, or remove it to start again."
        )
