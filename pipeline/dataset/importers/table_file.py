"""A CSV list of your own: `path,label[,split[,group]]`, with or without that header."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.importers.listing import SPLIT_NAMES, ListedClip, Listing, read_rows, split_name
from sciu.pipeline.dataset.media.kinds import is_folder, is_image, is_packed, is_video

_COLUMNS: tuple[str, ...] = ("path", "label", "split", "group")


def read(source: Path, *, classes: Sequence[str] = (), encoding: str = "utf-8-sig") -> Listing:
    """Return the clips of a CSV file; paths are relative to its folder, and the default split is train."""
    if source.is_dir():
        raise DatasetError(f"'{source}' must be a CSV file, but is a folder. `sciu-data import folder` takes folders.")
    listing = Listing(name=source.stem, root=source.absolute().parent, classes=classes)
    rows = read_rows(source, encoding, "Give --encoding, or convert it")
    columns = _header(rows, source) or _COLUMNS
    if not rows:
        raise DatasetError(f"'{source}' lists no clips. A row is path,label[,split[,group]].")
    for number, row in rows:
        where = f"{source.name}:{number}"
        if not 2 <= len(row) <= len(columns):
            raise DatasetError(
                f"{where}: a row must be {','.join(columns)}, but has {len(row)} fields: {','.join(row)!r}."
            )
        fields = {name: cell if name == "path" else cell.strip() for name, cell in zip(columns, row, strict=False)}
        if not fields.get("path") or not fields.get("label"):
            raise DatasetError(f"{where}: path and label must not be empty, but the row is {','.join(row)!r}.")
        kind = _kind(listing.root / fields["path"])
        listing.add(
            ListedClip(fields["path"], kind, fields["label"], where, fields.get("group") or None),
            split_name(fields.get("split") or "train", where),
        )
    if listing.clips and {clip.label.lower() for clip in listing.clips.values()} <= set(SPLIT_NAMES):
        listing.notes.append("all labels are names of splits: the column of labels may be missing")
    return listing


def _header(rows: list[tuple[int, list[str]]], source: Path) -> tuple[str, ...] | None:
    """Remove the header from the rows, if there is one, and return its columns."""
    if not rows:
        return None
    names = tuple(cell.strip().lower() for cell in rows[0][1])
    if {"path", "label"} <= set(names):
        if len(set(names)) < len(names) or not set(names) <= set(_COLUMNS):
            raise DatasetError(
                f"the header of '{source}' must have columns of {list(_COLUMNS)}, but is {list(names)}."
                " Remove the others."
            )
        del rows[0]
        return names
    on_disk = [os.path.lexists(source.parent / row[0]) for _, row in rows[:2]]
    if on_disk == [False, True] and not Path(rows[0][1][0]).suffix:
        raise DatasetError(
            f"the first row of '{source}' must be a clip or a header, but is {list(names)}."
            " Name its columns path,label."
        )
    return None


def _kind(path: Path) -> str:
    if is_video(path.name):
        return "video"
    return "frames" if is_image(path.name) or is_packed(path.name) or is_folder(path) or not path.suffix else "video"
