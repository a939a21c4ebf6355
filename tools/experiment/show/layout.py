"""A table as Markdown, LaTeX or CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sciu.tools.command.csv_file import csv_file
from sciu.tools.experiment.show.tables import Table

_LATEX = {"±": r"$\pm$", "%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#"}


def markdown(table: Table) -> str:
    """Return a table with a heading as Markdown."""
    lines = [table.header, ["---", *["---:"] * (len(table.header) - 1)], *table.rows]
    return f"### {table.title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def latex(table: Table) -> str:
    """Return a tabular for `booktabs`."""
    columns = "l" + "r" * (len(table.header) - 1)
    head, *rows = [" & ".join(map(_escaped, line)) + r" \\" for line in (table.header, *table.rows)]
    body = "\n".join([r"\toprule", head, r"\midrule", *rows, r"\bottomrule"])
    return f"% {table.title}\n\\begin{{tabular}}{{{columns}}}\n{body}\n\\end{{tabular}}\n"


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)


def comma_separated(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows with the same keys as CSV."""
    return csv_file([*rows[0]] if rows else [], rows).decode()
