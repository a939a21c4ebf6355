"""What commands print: tables for people, JSON for machines, progress."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from sciu.pipeline.errors import shown
from sciu.tools.command.commands import stop_if_signalled


def print_json(value: dict[str, Any]) -> None:
    """Print an object as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns, numbers right-aligned."""
    texts = [
        [f"{cell:,}" if isinstance(cell, int) else "-" if cell is None else shown(str(cell)) for cell in row]
        for row in rows
    ]
    header = [shown(name) for name in header]
    widths = [max(map(len, column)) for column in zip(header, *texts, strict=True)]
    numeric = [all(isinstance(row[k], int | None) for row in rows) for k in range(len(header))]
    for line in (header, ["-" * width for width in widths], *texts):
        cells = (
            text.rjust(w) if right else text.ljust(w) for text, w, right in zip(line, widths, numeric, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


class Progress:
    """A progress bar on a terminal; elsewhere a line for every tenth, at most one in five seconds.

    A `passing` bar is erased when it is done: the caller reports the result.
    """

    def __init__(self, label: str, *, passing: bool = False) -> None:
        self._label = label
        self._passing = passing
        self._began = self._shown = time.monotonic()
        self._tenth = 0

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` are done, and a note; stop if a signal's exception was lost.

        A passing bar only shows: it is drawn by a training, which stops where all of its ranks do.
        """
        if not self._passing:
            stop_if_signalled()
        if sys.stderr is None:  # closed by the caller
            return
        now = time.monotonic()
        if sys.stderr.isatty():
            if now - self._shown > 0.1 or done == total:
                self._shown = now
                self._draw(done, total, now, note)
        elif done * 10 // total > self._tenth and (now - self._shown > 5 or (done == total and not self._passing)):
            self._tenth, self._shown = done * 10 // total, now
            click.echo(f"{self._label}: {done:,} of {total:,} ({note or self._rate(done, now)})", err=True)

    def _draw(self, done: int, total: int, now: float, note: str) -> None:
        filled = 30 * done // total
        left = f"{note or self._rate(done, now)}, {(total - done) * (now - self._began) / max(done, 1):,.0f} s left "
        bar = f"{self._label} [{'=' * filled:<30}] {done:,}/{total:,}  {left}"
        if done == total and self._passing:
            click.echo(f"\r{'':<{len(bar)}}\r", err=True, nl=False)
        else:
            click.echo(f"\r{bar}", err=True, nl=done == total)

    def _rate(self, done: int, now: float) -> str:
        rate = done / max(now - self._began, 1e-9)
        return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
