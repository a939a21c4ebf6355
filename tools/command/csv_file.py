"""CSV files for people: no cell is one that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence

_FORMULA = re.compile(r"'*[=+\-@＝＋－＠\t\r\n]")
"""What a spreadsheet runs as a formula, Excel in East Asia after wide signs, too, or what was defused already."""


def csv_file(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    """Return the content of a CSV file with a header."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writerow({name: defused(name) for name in columns})
    writer.writerows({name: defused(row.get(name)) for name in columns} for row in rows)
    return text.getvalue().encode()


def defused(cell: object) -> object:
    """Return a cell that no spreadsheet runs: a text like a formula gets an apostrophe in front; numbers stay."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def original(cell: str) -> str:
    """Return the text that was defused."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
