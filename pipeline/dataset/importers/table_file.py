"""A researcher's own list: `path,label[,split[,group]]`, with that header or without."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.importers.listing import ListedClip, Listing, read_lines, split_name
from sciu.pipeline.dataset.media import PACKED_SUFFIX, is_image, is_video

_COLUMNS: tuple[str, ...] = ("path", "label", "split", "group")


def read(source: Path, *, classes: Sequence[str] = (), encoding: str = "utf-8-sig") -> Listing:
    """Read a CSV file; its paths start from its folder, and clips without a split train."""
    if source.is_dir():
        raise DatasetError(f"'{source}' must be a CSV file, but is a folder. `sciu-data import folder` takes folders.")
    listing = Listing(name=source.stem, root=source.absolute().parent, classes=classes)
    rows = [(number, row) for number, row in enumerate(_rows(source, encoding), start=1) if any(row)]
    columns = _COLUMNS
    if rows and {"path", "label"} <= {cell.strip().lower() for cell in rows[0][1]}:
        columns = tuple(cell.strip().lower() for cell in rows.pop(0)[1])
    for number, row in rows:
        where = f"{source.name}:{number}"
        if not 2 <= len(row) <= len(columns):
            raise DatasetError(
                f"{where}: a row must be {','.join(columns)}, but has {len(row)} fields: {','.join(row)!r}."
            )
        fields = dict(zip(columns, (cell.strip() for cell in row), strict=False))
        if not fields["path"] or not fields["label"]:
            raise DatasetError(f"{where}: path and label must not be empty, but the row is {','.join(row)!r}.")
        clip = ListedClip(
            fields["path"], _kind(listing.root / fields["path"]), fields["label"], where, fields.get("group") or None
        )
        listing.add(clip, split_name(fields.get("split") or "train", where))
    return listing


def _rows(source: Path, encoding: str) -> list[list[str]]:
    try:
        return list(csv.reader(read_lines(source, encoding), strict=True))
    except csv.Error as error:
        raise DatasetError(f"'{source}' is not valid CSV: {error}. Quote fields that hold commas or quotes.") from error


def _kind(path: Path) -> str:
    is_file_of_frames = is_image(path.name) or path.suffix.lower() == PACKED_SUFFIX
    return "frames" if is_file_of_frames or (path.is_dir() and not is_video(path.name)) or not path.suffix else "video"
