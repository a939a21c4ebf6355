"""A tree of `split/class/clip`, where a clip is a video, a folder of frames or a single image; or of `class/clip`.

Links are followed inside the tree only: a tree from elsewhere could otherwise bring in any file of its user.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.importers.listing import SPLIT_NAMES, ListedClip, Listing, some, split_name
from sciu.pipeline.dataset.media.kinds import is_folder, is_hidden, is_image, is_packed, is_video


def read(source: Path, *, classes: Sequence[str] = (), unsplit: bool = False) -> Listing:
    """Return the clips of the tree; `classes` fixes the order of the classes, by default that of their names.

    `unsplit` allows a tree without folders of splits, whose clips are all for training.
    """
    listing = Listing(name=source.absolute().name, root=source, classes=classes)
    tree = _Tree(source)
    skipped: list[str] = []
    class_names: list[str] = []
    for split, prefix, split_folder in _splits(tree, unsplit=unsplit):
        for class_folder in tree.folders(split_folder, "a folder for every class"):
            class_names.append(class_folder.name)
            for entry in tree.clips(class_folder):
                path = f"{prefix}{class_folder.name}/{entry.name}"
                if (kind := _kind(entry)) is None:
                    skipped.append(path)
                else:
                    listing.add(ListedClip(path, kind, class_folder.name, f"'{path}'"), split)
    if tree.outside:
        listing.notes.append(f"{len(tree.outside)} clips or folders {_LEADS_OUT}: {some(tree.outside)}. {_REMEDY}")
    if bare := sorted(set(class_names) - {clip.label for clip in listing.clips.values()}):
        listing.notes.append(f"class folders without a clip were left out: {some(bare)}")
    if skipped:
        listing.notes.append(f"{len(skipped)} files are neither video nor image and were left out: {some(skipped)}")
    return listing


def _splits(tree: _Tree, *, unsplit: bool) -> list[tuple[str, str, Path]]:
    """Return the name of each split, what its paths begin with, and the folder of its classes."""
    source, folders = tree.source, tree.folders(tree.source, "train/, test/ or val/")
    if any(folder.name.lower() in SPLIT_NAMES for folder in folders):
        return [(split_name(folder.name, f"'{folder}'"), f"{folder.name}/", folder) for folder in folders]
    if unsplit:
        return [("train", "", source)]
    raise DatasetError(
        f"'{source}' must hold train/, test/ or val/, but has {some([folder.name for folder in folders])}."
        " If these are the classes, --test 0.2 makes a test split."
    )


def _kind(entry: os.DirEntry[str]) -> str | None:
    if is_video(entry.name):
        return "video"
    if is_image(entry.name) or is_packed(entry.name) or is_folder(entry) or entry.is_symlink():
        return "frames"
    return None


_LEADS_OUT = "are links that lead out of the source, or have some, and were not followed"
_REMEDY = "`sciu-data import csv` takes clips from anywhere"


@dataclass
class _Tree:
    """The folders of a source, without links that lead out of it."""

    source: Path
    outside: list[str] = field(default_factory=list)  # what was left out

    def __post_init__(self) -> None:
        self._root = os.path.join(os.path.realpath(self.source), "")  # noqa: PTH118 - with a slash at its end

    def folders(self, folder: Path, expected: str) -> list[Path]:
        """Return the folders in a folder, of which there must be some."""
        found = [Path(entry.path) for entry in _entries(folder) if not self._left_out(entry) and is_folder(entry)]
        if not found and self.outside:
            raise DatasetError(f"the folders in '{folder}' {_LEADS_OUT}: {some(self.outside)}. {_REMEDY}.")
        if not found:
            raise DatasetError(f"'{folder}' must hold {expected}, but has no folders. The layout is split/class/clip.")
        return found

    def clips(self, folder: Path) -> list[os.DirEntry[str]]:
        """Return the entries of a folder, without clips of which a frame lies elsewhere."""
        return [entry for entry in _entries(folder) if not self._left_out(entry, and_inside=True)]

    def _left_out(self, entry: os.DirEntry[str], *, and_inside: bool = False) -> bool:
        """Return whether an entry leads out, or an entry of it if it is a folder, and remember it."""
        leads_out = self._leads_out(entry) or (
            and_inside and is_folder(entry) and any(map(self._leads_out, _entries(Path(entry.path))))
        )
        if leads_out:
            self.outside.append(os.path.relpath(entry.path, self.source))
        return leads_out

    def _leads_out(self, entry: os.DirEntry[str]) -> bool:
        return entry.is_symlink() and not os.path.realpath(entry.path).startswith(self._root)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not is_hidden(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        raise DatasetError(
            f"'{folder}' cannot be read: {error.strerror}. Give the folder that holds split/class/clip."
        ) from error
