"""A CSV list of your own: `path,label[,split[,group]]`, with or without that header, or with columns of other names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.importers.listing import (
    SPLIT_NAMES,
    ListedClip,
    Listing,
    did_you_mean,
    read_rows,
    some,
    split_name,
)
from sciu.pipeline.dataset.media.kinds import is_folder, is_image, is_packed, is_video
from sciu.pipeline.errors import SettingError, require

COLUMNS: tuple[str, ...] = ("path", "label", "split", "group")
_USUAL_DELIMITERS = ";\t|"


def read(
    source: Path,
    *,
    classes: Sequence[str] = (),
    encoding: str = "utf-8-sig",
    columns: Mapping[str, str] | None = None,
    delimiter: str = ",",
) -> Listing:
    """Return the clips of a CSV file; paths are relative to its folder, and the default split is train.

    `columns` says which column of the file's header has our path, label, split or group; the others are not read.
    """
    if source.is_dir():
        raise DatasetError(f"'{source}' must be a CSV file, but is a folder. `sciu-data import folder` takes folders.")
    delimiter = "\t" if delimiter == r"\t" else delimiter  # as shells pass it on
    require(len(delimiter) == 1 and delimiter not in '"\r\n', "--delimiter", "one character", repr(delimiter))
    listing = Listing(name=source.stem, root=source.absolute().parent, classes=classes)
    rows = read_rows(source, encoding, "Give --encoding, or convert it", delimiter)
    header = _named_header(rows, source, columns) if columns else _header(rows, source)
    if not rows:
        raise DatasetError(f"'{source}' lists no clips. A row is path,label[,split[,group]].")
    for number, row in rows:
        where = f"{source.name}:{number}"
        if not 2 <= len(row) <= len(header):
            raise DatasetError(
                f"{where}: a row must be {','.join(name or '-' for name in header)}, but has {len(row)} fields:"
                f" {','.join(row)!r}.{_other_delimiter(row)}"
            )
        fields = {name: cell if name == "path" else cell.strip() for name, cell in zip(header, row, strict=False)}
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


def _header(rows: list[tuple[int, list[str]]], source: Path) -> tuple[str, ...]:
    """Return the columns in the order of the header, which is removed from the rows, or of a file without one."""
    if not rows:
        return COLUMNS
    there = [cell.strip() for cell in rows[0][1]]
    names = tuple(cell.lower() for cell in there)
    if {"path", "label"} <= set(names):
        if len(set(names)) < len(names) or not set(names) <= set(COLUMNS):
            raise DatasetError(
                f"the header of '{source}' must have columns of {list(COLUMNS)}, but is {list(names)}."
                " Remove the others, or say which to read: --columns path=path,label=label."
            )
        del rows[0]
        return names
    on_disk = [os.path.lexists(source.parent / row[0]) for _, row in rows[:2]]
    if on_disk == [False, True] and not Path(there[0]).suffix and len(there) > 1:
        raise DatasetError(
            f"the first row of '{source}' must be a clip or a header, but is {there}."
            f" Say which of its columns to read: --columns path={there[0]},label={there[1]}."
        )
    return COLUMNS


def _named_header(rows: list[tuple[int, list[str]]], source: Path, columns: Mapping[str, str]) -> tuple[str, ...]:
    """Return our name of each column of the header, which is removed from the rows; "" for those that are not read."""
    if unknown := set(columns) - set(COLUMNS):
        raise SettingError(f"--columns must name our {', '.join(COLUMNS)}, but names {min(unknown)!r}.")
    there = [cell.strip() for cell in rows.pop(0)[1]] if rows else []
    ours = {columns.get(name, name): name for name in COLUMNS if name in columns or name in there}
    for name in dict.fromkeys([*columns.values(), *(columns.get(name, name) for name in ("path", "label"))]):
        if there.count(name) != 1:
            raise DatasetError(
                f"the header of '{source}' must have one column {name!r}, but its columns are {some(there)}."
                f"{did_you_mean(name, there) or _other_delimiter(there)}"
            )
    return tuple(ours.get(name, "") for name in there)


def _other_delimiter(row: Sequence[str]) -> str:
    """Return a question if a row looks as if its fields were separated by another character."""
    other = next((mark for mark in _USUAL_DELIMITERS if any(mark in cell for cell in row)), None)
    return f" Are the fields separated by {other!r}? Then give --delimiter {other!r}." if other else ""


def _kind(path: Path) -> str:
    if is_video(path.name):
        return "video"
    return "frames" if is_image(path.name) or is_packed(path.name) or is_folder(path) or not path.suffix else "video"
