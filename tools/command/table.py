"""Tables: aligned columns, plain and whole in a pipe; on a terminal styled, and folded into its width if possible."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from typing import NamedTuple

import click
from rich.cells import cell_len  # of rich only this: all of it takes 30 ms

from sciu.pipeline.errors import shown
from sciu.tools.command.terminal import colours_wanted, is_terminal

_GAP = "  "
_OF_IDS = "clip"  # the column of numbers that are not counts: commands take them without separators
_LEAST = 16  # cells that a column of text is not folded below
_PART = re.compile(r"[^/\\\s_-]*[/\\\s_-]+|[^/\\\s_-]+")
_MOST = 1000  # rows that are styled: rich takes half a millisecond for each


class Marked(NamedTuple):
    """A cell that has a colour on a terminal."""

    text: str
    colour: str


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns, numbers right-aligned; nothing is cut.

    Where a table does not fit, the terminal folds its lines.
    """
    lines = [[shown(name) for name in header], *(list(map(_text, row, header)) for row in rows)]
    numeric = [all(isinstance(row[k], int | None) for row in rows) for k in range(len(header))]
    styled = is_terminal(sys.stdout) or bool(colours_wanted())
    if styled and len(rows) <= _MOST:
        room = shutil.get_terminal_size().columns if is_terminal(sys.stdout) else sys.maxsize
        if widths := _fitted(lines, numeric, room - len(_GAP) * (len(header) - 1)):
            colours = [[cell.colour if isinstance(cell, Marked) else "" for cell in row] for row in rows]
            _print_styled(lines, colours, widths, numeric)
            return
    widths = _widths(lines)
    rule = "─" * (sum(widths) + len(_GAP) * (len(widths) - 1)) if styled else _GAP.join("-" * each for each in widths)
    header, *others = (_joined(line, widths, numeric) for line in lines)
    for line in (click.style(header, bold=True) if styled else header, rule, *others):
        click.echo(line, color=colours_wanted())


def _joined(line: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    """Return a line of aligned cells."""
    blanks = (" " * (width - cell_len(text)) for text, width in zip(line, widths, strict=True))
    cells = zip(line, blanks, numeric, strict=True)
    return _GAP.join(f"{blank}{text}" if right else f"{text}{blank}" for text, blank, right in cells).rstrip()


def _text(cell: object, column: str) -> str:
    if isinstance(cell, int):
        return str(cell) if column == _OF_IDS else f"{cell:,}"
    return "-" if cell is None else shown(cell.text if isinstance(cell, Marked) else str(cell))


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(cell_len, column)) for column in zip(*lines, strict=True)]


def _fitted(lines: Sequence[Sequence[str]], numeric: Sequence[bool], room: int) -> list[int]:
    """Return widths that fit, narrower where most can be spared; none if nothing fits.

    Text is folded, but not into a thread, and of a column of numbers only the header, between its words.
    """
    widths = _widths(lines)
    least = [
        max(number if right else min(width, _LEAST), *map(cell_len, name.split()), 0)
        for name, number, right, width in zip(lines[0], _widths(lines[1:] or lines), numeric, widths, strict=True)
    ]
    for _ in range(sum(widths) - room if sum(least) <= room else 0):
        widths[max(range(len(widths)), key=lambda k: widths[k] - least[k])] -= 1
    return widths if sum(widths) <= room else []


def _folded(text: str, width: int) -> str:
    """Return a text in lines of a width that end where a part of a path or a word does; longer parts rich folds."""
    if cell_len(text) <= width:
        return text
    lines = [""]
    for part in _PART.findall(text):
        if lines[-1] and cell_len(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _print_styled(
    lines: Sequence[Sequence[str]], colours: Sequence[Sequence[str]], widths: Sequence[int], numeric: Sequence[bool]
) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name, width, right in zip(lines[0], widths, numeric, strict=True):
        table.add_column(Text(name, "bold"), width=width, justify="right" if right else "left", overflow="fold")
    for line, row in zip(lines[1:], colours, strict=True):
        cells = (_folded(text, width) for text, width in zip(line, widths, strict=True))
        table.add_row(*map(Text, cells, row))
    Console(width=sum(widths) + len(_GAP) * len(widths)).print(table)
