"""A dataset is a folder: `dataset.toml` describes it, `clips.parquet` has a row for every clip."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from numpy.typing import NDArray

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.media.read import read_frames
from sciu.pipeline.dataset.system.files import sync_folder, write_atomically
from sciu.pipeline.dataset.table import KINDS, SPLITS, Categories, ClipTable, read_table, write_table
from sciu.pipeline.errors import SettingError, first_line, require

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FORMAT = 1
MANIFEST = "dataset.toml"
_NEXT = ".dataset.toml.next"  # the manifest that belongs to a table that was replaced with it
TABLE = "clips.parquet"
TRUTH = "truth.csv"
_MOST_FOLDS = 1000
_AT_ONCE = 1 << 16  # names that are a list at the same time
MOST_CLASSES = np.iinfo(np.int16).max  # labels are int16


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """The clips of a dataset and their paths. A clip is identified by its id, its row in the table."""

    folder: Path
    name: str
    classes: tuple[str, ...]
    root: str  # of the media; relative if inside the folder, so that the folder can be moved
    clips: ClipTable
    made_by: str = ""

    @classmethod
    def load(cls, folder: Path | str) -> Dataset:
        """Read a dataset, but not its media."""
        folder = Path(folder).absolute()
        dataset, names = None, (MANIFEST, _NEXT, MANIFEST)  # the third time: it was replaced while it was read
        for manifest in filter(None, (_read_manifest(folder / name) for name in names)):
            dataset = cls._read(folder, manifest)
            if dataset.fingerprint == manifest["fingerprint"]:
                return dataset
        if dataset is None:
            raise DatasetError(
                f"no dataset in '{folder}': it has no {MANIFEST}. Create one: `sciu-data import --help`."
            )
        raise DatasetError(
            f"'{folder / TABLE}' does not match '{MANIFEST}': names, labels, folds or classes have changed."
            " Import the dataset again."
        )

    @classmethod
    def _read(cls, folder: Path, manifest: dict[str, Any]) -> Dataset:
        classes = tuple(manifest["classes"])
        clips = read_table(folder / TABLE, classes=classes, folds=manifest["folds"])
        if len(clips) != manifest["clips"]:
            raise DatasetError(
                f"'{folder / MANIFEST}' lists {manifest['clips']} clips, but '{TABLE}' has {len(clips)}."
                " They belong to different datasets. Import the dataset again."
            )
        return cls(
            folder=folder, name=manifest["name"], classes=classes, root=manifest["root"], clips=clips,
            made_by=str(manifest.get("made_by", "")),
        )  # fmt: skip

    def save(self) -> None:
        """Write the table, then the manifest: a folder with a manifest is a complete dataset."""
        if not len(self):
            raise DatasetError(f"dataset '{self.name}' has no clips. Check the folder it was made from.")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_table(self.clips, self.folder / TABLE)
        write_atomically(self.folder / MANIFEST, self.manifest())

    def save_clips(self, clips: ClipTable) -> Dataset:
        """Replace the table of a saved dataset in one rename; the clips must be the same."""
        assert len(clips) == len(self)
        write_table(clips, self.folder / TABLE)
        return replace(self, clips=clips)

    def save_changed(self, clips: ClipTable, *, made_by: str) -> Dataset:
        """Replace table and manifest of a saved dataset, as one: the new manifest waits beside the old one.

        A reader takes the one that fits the table, whose rename is the moment of the change.
        """
        assert not self.interrupted, "the change that was interrupted may be all that the table fits"
        changed = replace(self, clips=clips, made_by=made_by)
        write_atomically(self.folder / _NEXT, changed.manifest())
        write_table(clips, self.folder / TABLE)
        (self.folder / _NEXT).replace(self.folder / MANIFEST)
        sync_folder(self.folder)
        return changed

    @property
    def interrupted(self) -> bool:
        """Whether a change of table and manifest was interrupted: its manifest still waits."""
        return (self.folder / _NEXT).exists()

    def complete(self) -> None:
        """Make the manifest that this was read from the only one. It replaces the file, and ends a lock on it."""
        write_atomically(self.folder / MANIFEST, self.manifest())
        (self.folder / _NEXT).unlink()

    def manifest(self) -> bytes:
        """Return the content of `dataset.toml`."""
        content = {
            "format": FORMAT, "name": self.name, "kind": self.kind, "classes": list(self.classes), "root": self.root,
            "folds": self.folds, "clips": len(self), "fingerprint": self.fingerprint, "made_by": self.made_by,
        }  # fmt: skip
        return tomli_w.dumps(content).encode()

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def folds(self) -> int:
        """Number of folds; fold numbers start at 1."""
        return len(self.clips.folds)

    @property
    def kind(self) -> str:
        """`video`, `frames`, or `mixed`."""
        kinds = [self.clips.kind.names[code] for code in np.unique(self.clips.kind.codes)]
        return kinds[0] if len(kinds) == 1 else "mixed"

    @cached_property
    def media(self) -> Path:
        """The absolute folder that the clips' paths are relative to."""
        return self.folder / self.root

    def __repr__(self) -> str:
        sizes = f"{len(self)} clips, {len(self.classes)} classes, {self.folds} folds"
        return f"Dataset({self.name!r}, {sizes}, '{self.folder}')"

    def path(self, clip: int) -> Path:
        """Return the path of a clip."""
        if not 0 <= clip < len(self):
            raise IndexError(f"clip ids of dataset '{self.name}' must be 0 to {len(self) - 1}, but one is {clip}")
        return self.media / self.clips.path[clip]

    def kind_of(self, clip: int) -> str:
        """Return the kind of a clip: `video` or `frames`."""
        return KINDS[self.clips.kind.codes[clip]]

    def read(self, clip: int, numbers: Sequence[int]) -> list[NDArray[np.uint8]]:
        """Decode frames of a clip on the host, each [H, W, 3] RGB; training uses a feed instead."""
        return read_frames(self.path(clip), self.kind_of(clip), numbers)

    @cached_property
    def labels(self) -> NDArray[np.int16]:
        """The original label of every clip, as an index into `classes`."""
        return self.clips.label.codes.astype(np.int16)

    @property
    def quarantined(self) -> NDArray[np.bool_]:
        """A mask of the clips that must never be fed."""
        return self.clips.quarantine.codes >= 0

    def splits(self, fold: int = 1) -> Categories:
        """Return the split of every clip in a fold: train, test, val or None."""
        if not 1 <= fold <= self.folds:
            raise SettingError(f"fold must be 1 to {self.folds} in dataset '{self.name}', but is {fold}.")
        return self.clips.folds[fold - 1]

    def ids(self, split: str, fold: int = 1) -> NDArray[np.int64]:
        """Return the ids of a split's clips in ascending order, without quarantined clips."""
        require(split in SPLITS, "split", f"one of {list(SPLITS)}", repr(split))
        chosen: NDArray[np.int64] = np.flatnonzero(self.splits(fold).where(split) & ~self.quarantined)
        return chosen

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over classes, names, labels and folds: it identifies what the ids and labels mean.

        Paths, frame counts and quarantine are left out, so packing or checking a dataset keeps its fingerprint.
        """
        digest, names = hashlib.sha256("\0".join((*self.classes, "")).encode()), self.clips.name
        for start in range(0, len(names), _AT_ONCE):
            digest.update("".join([f"\0{name}" for name in names[start : start + _AT_ONCE]]).encode())
        for column in (self.clips.label, *self.clips.folds):
            digest.update(column.codes.tobytes())
        return digest.hexdigest()

    def require_media(self) -> None:
        """Raise an error if the media folder is missing: that is one fault, not one per clip."""
        if not self.media.is_dir():
            raise DatasetError(
                f"media folder '{self.media}' of dataset '{self.name}' is missing."
                f" Mount it, or set `root` in '{self.folder / MANIFEST}' to where it is now."
            )


def _read_manifest(path: Path) -> dict[str, Any] | None:
    """Return a manifest, or None if there is none."""
    try:
        manifest: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, RecursionError) as error:  # of undecodable text, of TOML, of a number with 5,000 digits
        raise DatasetError(
            f"'{path}' is not valid TOML: {first_line(error)}. Fix it, or import the dataset again."
        ) from error
    if manifest.get("format") != FORMAT:
        raise DatasetError(
            f"'{path}' has format {manifest.get('format')}, but this sciu reads format {FORMAT}. Update sciu."
        )
    _require_types(
        path, manifest, {"name": str, "classes": list, "root": str, "folds": int, "clips": int, "fingerprint": str}
    )
    if not 1 <= manifest["folds"] <= _MOST_FOLDS:
        raise DatasetError(f"`folds` in '{path}' must be 1 to {_MOST_FOLDS}, but is {manifest['folds']}.")
    if "\0" in manifest["root"]:
        raise DatasetError(f"`root` in '{path}' must be a path, but is {manifest['root']!r}.")
    names = [name for name in manifest["classes"] if isinstance(name, str)]
    if not names or len(set(names)) < len(manifest["classes"]):
        raise DatasetError(f"`classes` in '{path}' must be different names, but is {manifest['classes']}.")
    if len(manifest["classes"]) > MOST_CLASSES:
        raise DatasetError(
            f"`classes` in '{path}' must be at most {MOST_CLASSES:,}, but are {len(manifest['classes']):,}."
            " Import the dataset again, with the column of labels."
        )
    return manifest


def _require_types(path: Path, manifest: dict[str, Any], types: dict[str, type]) -> None:
    for key, kind in types.items():
        if not isinstance(manifest.get(key), kind):
            raise DatasetError(f"`{key}` in '{path}' must be of type {kind.__name__}, but is {manifest.get(key)!r}.")
