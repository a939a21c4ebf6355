"""The result of an importer: every clip once, with its label, folds and group. Media are not read yet."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.media.kinds import natural_key
from sciu.pipeline.errors import SettingError

SPLIT_NAMES = {
    "train": "train", "training": "train",
    "test": "test", "testing": "test",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
}  # fmt: skip


@dataclass
class ListedClip:
    """A clip as its source describes it."""

    path: str  # relative to the source's root, or absolute
    kind: str
    label: str
    where: str  # the first line that lists it, for messages
    group: str | None = None
    splits: dict[int, str] = field(default_factory=dict)  # fold -> split


@dataclass(frozen=True)
class Media:
    """A variant of a dataset's media."""

    folder: str
    kind: str
    suffix: str = ""


@dataclass(frozen=True, kw_only=True)
class Published:
    """The counts that the authors of a dataset published."""

    totals: Mapping[tuple[int, str], int]  # (fold, split) -> clips
    by_class: Mapping[tuple[int, str], Mapping[str, int]] = field(default_factory=dict)


@dataclass(kw_only=True)
class Listing:
    """The clips of a source, gathered row by row."""

    name: str
    root: Path
    classes: Sequence[str] = ()  # in order; empty: the labels that occur, sorted
    published: Published | None = None
    clips: dict[str, ListedClip] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    repeated: int = 0

    def __post_init__(self) -> None:
        self.root = Path(os.path.abspath(self.root))  # noqa: PTH100 - resolve() would follow the user's own links

    def add(self, clip: ListedClip, split: str, *, fold: int = 1) -> None:
        """Add a row; a row that contradicts an earlier one raises an error that names both lines."""
        if self.classes and clip.label not in self.classes:
            raise DatasetError(
                f"{clip.where}: label must be one of {list(self.classes)}, but is {clip.label!r}."
                f"{did_you_mean(clip.label, self.classes)}"
            )
        _require_text(clip)
        clip.path = self._one_spelling(clip.path)
        known = self.clips.setdefault(clip.path, clip)
        if known.label != clip.label:
            raise DatasetError(
                f"clip '{clip.path}' is labelled {known.label!r} at {known.where} and {clip.label!r} at {clip.where}."
                " Remove one of the two rows."
            )
        if known.group != clip.group:
            raise DatasetError(
                f"clip '{clip.path}' is of group {known.group!r} at {known.where} and {clip.group!r} at {clip.where}."
                " Remove one of the two rows."
            )
        self.repeated += fold in known.splits
        if (earlier := known.splits.setdefault(fold, split)) != split:
            raise DatasetError(
                f"clip '{clip.path}' is in both {earlier} and {split} of fold {fold} ({known.where}, {clip.where}):"
                " the test set would leak. Remove one of the two rows."
            )

    def _one_spelling(self, path: str) -> str:
        """Return one path for `a.mp4`, `./a.mp4` and its absolute path: relative if it is inside the root."""
        full = os.path.normpath(os.path.join(self.root, path))  # noqa: PTH118 - a Path costs ten times as much
        return full.removeprefix(f"{self.root}/")

    @property
    def folds(self) -> int:
        """Number of folds of the source."""
        return max((fold for clip in self.clips.values() for fold in clip.splits), default=1)

    def class_names(self) -> list[str]:
        """Return the classes in the order of their codes."""
        return list(self.classes) or sorted({clip.label for clip in self.clips.values()}, key=natural_key)

    def in_order(self) -> list[ListedClip]:
        """Return the clips sorted by path, so that ids do not depend on the order of the source's rows."""
        return [self.clips[path] for path in sorted(self.clips, key=natural_key)]


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """Return a question after the most similar name, if there is one."""
    close = get_close_matches(name, names, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def split_name(name: str, where: str) -> str:
    """Return our name of a source's split."""
    try:
        return SPLIT_NAMES[name.strip().lower()]
    except KeyError:
        raise DatasetError(f"{where}: split must be one of {sorted(SPLIT_NAMES)}, but is {name!r}.") from None


def read_text(path: Path, encoding: str = "utf-8-sig", remedy: str = "Convert it to UTF-8") -> str:
    """Return the text of a split file with any line ends; the error for a wrong encoding shows how to convert it."""
    try:
        return path.read_bytes().decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeError as error:
        where = f" (byte {error.start})" if isinstance(error, UnicodeDecodeError) else ""
        name = "UTF-8" if encoding == "utf-8-sig" else encoding
        example = "iconv -f ENCODING -t utf-8, where ENCODING is, for example, gb18030 or latin1"
        raise DatasetError(f"'{path}' is not {name} text{where}. {remedy}: {example}.") from None
    except LookupError:
        raise SettingError(
            f"encoding must be one that Python knows, such as utf-8 or gb18030, but is {encoding!r}."
        ) from None
    except OSError as error:
        raise DatasetError(f"'{path}' cannot be read: {error.strerror}. Correct the path.") from error


def read_lines(path: Path, encoding: str = "utf-8-sig") -> list[str]:
    """Return the lines of a split file."""
    return read_text(path, encoding).split("\n")


def read_rows(
    path: Path, encoding: str = "utf-8-sig", remedy: str = "Convert it to UTF-8", delimiter: str = ","
) -> list[tuple[int, list[str]]]:
    """Return the non-empty rows of a CSV file with their line numbers; fields may contain line ends."""
    text = io.StringIO(read_text(path, encoding, remedy), newline="")
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DatasetError(
            f"'{path}':{reader.line_num} is not valid CSV: {error}. Quote fields with delimiters or quotes."
        ) from error


def first_folder(source: Path, *candidates: str) -> str:
    """Return the first folder that exists; if there is none, raise an error that shows what was expected."""
    for candidate in candidates:
        if (source / candidate).is_dir():
            return candidate
    there = sorted(entry.name for entry in source.iterdir())[:8] if source.is_dir() else "no such folder"
    raise DatasetError(f"'{source}' must hold '{candidates[0]}', as unpacked from the archives, but has {there}.")


def _require_text(clip: ListedClip) -> None:
    try:
        clip.path.encode()
    except UnicodeEncodeError:
        raise DatasetError(f"{clip.where}: path {clip.path!r} is not valid UTF-8. Rename the file.") from None


def some(names: list[str]) -> str:
    """Return the first five names and the number of the others."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
