"""A tree of `split/class/clip`, where a clip is a video, a folder of frames or a single image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.importers.listing import ListedClip, Listing, some, split_name
from sciu.pipeline.dataset.media.kinds import is_folder, is_hidden, is_image, is_packed, is_video


def read(source: Path, *, classes: Sequence[str] = ()) -> Listing:
    """Return the clips of the tree; `classes` fixes the order of the classes, by default that of their names."""
    listing = Listing(name=source.absolute().name, root=source, classes=classes)
    skipped: list[str] = []
    class_names: list[str] = []
    for split_folder in _folders(source, "train/, test/ or val/"):
        split = split_name(split_folder.name, f"'{split_folder}'")
        for class_folder in _folders(split_folder, "a folder for every class"):
            class_names.append(class_folder.name)
            for entry in _entries(class_folder):
                path = f"{split_folder.name}/{class_folder.name}/{entry.name}"
                if (kind := _kind(entry)) is None:
                    skipped.append(path)
                else:
                    listing.add(ListedClip(path, kind, class_folder.name, f"'{path}'"), split)
    if bare := sorted(set(class_names) - {clip.label for clip in listing.clips.values()}):
        listing.notes.append(f"class folders without a clip were left out: {some(bare)}")
    if skipped:
        listing.notes.append(f"{len(skipped)} files are neither video nor image and were left out: {some(skipped)}")
    return listing


def _kind(entry: os.DirEntry[str]) -> str | None:
    if is_video(entry.name):
        return "video"
    if is_image(entry.name) or is_packed(entry.name) or is_folder(entry) or entry.is_symlink():
        return "frames"
    return None


def _folders(folder: Path, expected: str) -> list[Path]:
    found = [Path(entry.path) for entry in _entries(folder) if is_folder(entry)]
    if not found:
        raise DatasetError(f"'{folder}' must hold {expected}, but has no folders. The layout is split/class/clip.")
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not is_hidden(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        raise DatasetError(
            f"'{folder}' cannot be read: {error.strerror}. Give the folder that holds split/class/clip."
        ) from error
