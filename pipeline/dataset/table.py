"""The clip table: one row per clip, whose row number is the clip's id, stored as Parquet.

Columns, not rows: a million clips are a dozen arrays and load in a fraction of a second.

One flipped bit in a header of Parquet can exchange two clips, and Parquet's own checksums cover only pages. So a
SHA-256 of the file is stored in it, between the last column and the footer, where readers of Parquet do not look. It is
one file and one rename: after a crash, table and checksum cannot disagree. A table without it is read as it is: an
earlier version wrote it, or another tool.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.system.files import write_atomically

KINDS = ("video", "frames")
SPLITS = ("train", "test", "val")

_AT_ONCE = 1 << 16  # texts that are a list at the same time

Numbers = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Categories:
    """A column of names: for every clip an index into `names`, or -1 for none."""

    codes: Numbers
    names: tuple[str, ...]

    @staticmethod
    def of(values: Iterable[str | None], names: Sequence[str] | None = None) -> Categories:
        """Encode `values`; `names` fixes the order of the codes and must contain every value."""
        return _categories(pa.array(values, pa.string()).dictionary_encode(), names)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, clip: int) -> str | None:
        code = int(self.codes[clip])
        return None if code < 0 else self.names[code]

    def some(self, clips: NDArray[np.int64]) -> Categories:
        """Return the column of some clips."""
        return Categories(self.codes[clips], self.names)

    def counts(self, among: NDArray[np.bool_] | slice = slice(None)) -> dict[str, int]:
        """Return the number of clips by name, in the order of `names`; 0 for names that do not occur."""
        codes = self.codes[among]
        return dict(zip(self.names, np.bincount(codes[codes >= 0], minlength=len(self.names)).tolist(), strict=True))

    def where(self, name: str) -> NDArray[np.bool_]:
        """Return a mask of the clips that have `name`."""
        matches: NDArray[np.bool_] = self.codes == (self.names.index(name) if name in self.names else -2)
        return matches


class Texts(Sequence[str]):
    """A column of texts as Parquet holds it: 40 bytes a path in two pieces of memory, not 110 in a list of strings."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self.column = column

    def __len__(self) -> int:
        return len(self.column)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            found: list[str] = self.column[place].to_pylist()
            return found
        return str(self.column[int(place)].as_py())

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _AT_ONCE):
            yield from self[start : start + _AT_ONCE]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and [*self] == [*other]

    __hash__ = None  # type: ignore[assignment] # like a list


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipTable:
    """The properties of every clip.

    `name` is the path in the source, which packing keeps; `path` is the current path. `frames` is counted on disk.
    `quarantine` is the reason why a clip is quarantined.
    """

    name: Sequence[str]
    path: Sequence[str]
    kind: Categories
    frames: Numbers
    width: Numbers
    height: Numbers
    codec: Categories
    label: Categories
    folds: tuple[Categories, ...]
    group: Categories
    quarantine: Categories

    def __post_init__(self) -> None:
        numbers = (self.frames, self.width, self.height)
        names = (self.kind, self.codec, self.label, self.group, self.quarantine, *self.folds)
        assert {len(self.path)} == {len(self.name), *map(len, numbers), *map(len, names)}

    def __len__(self) -> int:
        return len(self.path)

    def replace(self, **columns: Any) -> ClipTable:
        """Return the table with some columns changed."""
        return replace(self, **columns)


_CATEGORIES = ("kind", "codec", "label", "group", "quarantine")
_TEXTS = ("name", "path")
_NUMBERS = ("frames", "width", "height")


def write_table(table: ClipTable, path: Path) -> None:
    """Write the table atomically."""
    columns: dict[str, Any] = {"id": np.arange(len(table), dtype=np.int32)}
    columns |= {name: _texts(getattr(table, name)) for name in _TEXTS}
    columns |= {name: getattr(table, name) for name in _NUMBERS}
    columns |= {name: _dictionary(getattr(table, name)) for name in _CATEGORIES}
    columns |= {f"fold_{number}": _dictionary(fold) for number, fold in enumerate(table.folds, start=1)}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    write_atomically(path, _with_checksum(buffer.getvalue()))


def read_table(path: Path, *, classes: Sequence[str], folds: int) -> ClipTable:
    """Read the table; label codes follow the order of `classes`."""
    fold_names = [f"fold_{number}" for number in range(1, folds + 1)]
    try:
        content = path.read_bytes()
        _require_undamaged(content, path)
        # not pq.read_table, whose threads aborted one process in sixty as it ended (code 134; apache/arrow#34314)
        file = pq.ParquetFile(pa.BufferReader(content))
        columns = file.read(["id", *_TEXTS, *_NUMBERS, *_CATEGORIES, *fold_names], use_threads=False)
        columns.validate(full=True)  # of texts and codes, which are not looked at before they are used
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise DatasetError(
            f"clip table '{path}' cannot be read: {_one_line(error)}. Import the dataset again."
        ) from error
    if missing := {"id", *_TEXTS, *_NUMBERS, *_CATEGORIES, *fold_names} - set(columns.column_names):
        raise DatasetError(f"clip table '{path}' lacks the columns {sorted(missing)}. Import the dataset again.")
    if len(columns.column_names) > len(set(columns.column_names)):
        raise DatasetError(f"clip table '{path}' has a column twice. Import the dataset again.")
    ids = columns["id"]
    if not (pa.types.is_integer(ids.type) and np.array_equal(ids.to_numpy(), np.arange(len(columns)))):
        raise DatasetError(
            f"clip ids in '{path}' must be 0, 1, 2, ... in order, but are not. Import the dataset again."
        )
    names: dict[str, Sequence[str]] = {"kind": KINDS, "label": classes}
    _require_filled(columns, path, fold_names)
    numbers: dict[str, Any] = {name: columns[name].to_numpy() for name in _NUMBERS}
    categories: dict[str, Any] = {
        name: _categories(columns[name], names.get(name), f"{name} in '{path}'") for name in _CATEGORIES
    }
    texts = Texts(columns["name"])
    table = ClipTable(
        name=texts,
        path=texts if columns["path"].equals(columns["name"]) else Texts(columns["path"]),
        folds=tuple(_categories(columns[name], SPLITS, f"{name} in '{path}'") for name in fold_names),
        **numbers,
        **categories,
    )
    del columns, ids, content, file
    pa.default_memory_pool().release_unused()  # else as much memory as the table itself, for good
    return table


_CHECKSUM = b"\xffSHA-256 of the rest:\xff"  # no UTF-8 text contains these bytes
_DIGEST = hashlib.sha256().digest_size


def _with_checksum(parquet: bytes) -> bytes:
    footer = len(parquet) - 8 - int.from_bytes(parquet[-8:-4], "little")
    return parquet[:footer] + _CHECKSUM + hashlib.sha256(parquet).digest() + parquet[footer:]


def _require_undamaged(content: bytes, path: Path) -> None:
    at = content.rfind(_CHECKSUM)
    start, end = at + len(_CHECKSUM), at + len(_CHECKSUM) + _DIGEST
    if at < 0:
        return
    digest = hashlib.sha256(memoryview(content)[:at])
    digest.update(memoryview(content)[end:])
    if digest.digest() != content[start:end]:
        raise DatasetError(
            f"clip table '{path}' is damaged: its checksum does not match. Restore a copy, or import the dataset again."
        )


def _require_filled(columns: Any, path: Path, fold_names: list[str]) -> None:
    """Refuse a table with nulls, negative numbers or columns of another type."""
    kinds = dict.fromkeys(_NUMBERS, pa.int32())
    for name in (*_TEXTS, "kind", "label", *_NUMBERS):
        if columns[name].null_count:
            raise DatasetError(
                f"{name} in '{path}' must be set for every clip, but is missing. Import the dataset again."
            )
    for name in (*_TEXTS, *_NUMBERS, *_CATEGORIES, *fold_names):
        kind = columns[name].type
        expected = kinds.get(name, pa.string())
        if expected != (kind.value_type if pa.types.is_dictionary(kind) else kind):
            raise DatasetError(f"{name} in '{path}' must be of type {expected}, but is {kind}. Import it again.")
    for name in _NUMBERS:
        if len(columns) and np.min(columns[name].to_numpy()) < 0:
            raise DatasetError(f"{name} in '{path}' must be at least 0, but is {np.min(columns[name].to_numpy())}.")


def _texts(column: Sequence[str]) -> Any:
    return column.column if isinstance(column, Texts) else pa.array(column, pa.string())


def _dictionary(column: Categories) -> Any:
    codes = pa.array(column.codes, pa.int32(), mask=column.codes < 0)
    return pa.DictionaryArray.from_arrays(codes, pa.array(column.names, pa.string()))


def _categories(column: Any, names: Sequence[str] | None = None, what: str = "column") -> Categories:
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    stored = column.dictionary.to_pylist()
    codes = column.indices.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
    if names is None:
        names = sorted(stored)
    if unknown := sorted(set(stored) - set(names)):
        raise DatasetError(f"{what} must be one of {list(names)}, but is {unknown[0]!r}")
    if stored != list(names):
        recode = np.array([*(names.index(name) for name in stored), -1], np.int32)  # code -1 selects the last one
        codes = recode[codes]
    return Categories(codes, tuple(names))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")
