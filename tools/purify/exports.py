"""Rows about clips as files: CSV, Parquet, a DALI file list, cleanlab's columns."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciu.pipeline.dataset.system.files import write_atomically
from sciu.tools.command.csv_file import csv_file

if TYPE_CHECKING:
    from sciu.purification.care.report import ClipRow

FORMATS = ("csv", "parquet", "file_list", "cleanlab")
Row = dict[str, Any]  # a line of a table by column


def write_rows(kind: str, out: Path, rows: list[ClipRow], classes: Sequence[str]) -> None:
    """Write rows in a format; the file is whole or absent."""
    if kind == "file_list":
        content = "".join(f"{row.path} {classes.index(row.label)}\n" for row in rows).encode()
    elif kind == "parquet":
        content = _parquet([row.to_json() for row in rows])
    else:
        found = [_as_cleanlab_has_it(row) if kind == "cleanlab" else row.to_json() for row in rows]
        content = csv_file([*found[0]] if found else ["clip"], found)
    write_atomically(out, content)


def _as_cleanlab_has_it(row: ClipRow) -> Row:
    return {
        "clip": row.clip,
        "path": row.path,
        "is_label_issue": row.label != row.given,
        "label_score": row.label_score,
        "given_label": row.given,
        "predicted_label": row.predicted,
        "is_low_quality_issue": "pruned" in row.status,
    }


def _parquet(rows: list[Row]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), content)
    return content.getvalue()
