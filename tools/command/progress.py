"""Progress: tqdm's bar on a terminal, lines elsewhere."""

from __future__ import annotations

import os
import sys
import threading
import time
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import click
from rich.cells import cell_len

from sciu.pipeline.errors import shown
from sciu.tools.command.signals import stop_if_signalled
from sciu.tools.command.terminal import is_terminal

if TYPE_CHECKING:
    from tqdm import tqdm

_LEAST = 10  # cells of a bar
_bars: list[tqdm[Any]] = []  # that which is on the screen; at most one


class Progress:
    """A progress bar on a terminal; elsewhere a line for every tenth, at most one in five seconds.

    A `passing` bar is erased when it is done: the caller reports the result.
    """

    def __init__(self, label: str, *, passing: bool = False) -> None:
        self._label = shown(label)
        self._passing = passing
        self._began = self._told = time.monotonic()
        self._tenth = 0
        self._bar: tqdm[Any] | None = None
        self._show = self._draw if is_terminal(sys.stderr) else self._tell

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` are done, and a note; stop if a signal's exception was lost.

        A passing bar only shows: it is drawn by a training, which stops where all of its ranks do.
        """
        if not self._passing:
            stop_if_signalled()
        self._show(done, total, note)

    def _draw(self, done: int, total: int, note: str) -> None:
        shown = self._format(total, note)
        bar = self._bar = self._bar or self._begin(done, total, shown)
        bar.bar_format = shown
        bar.update(done - bar.n)
        if done == total:
            end_bar()

    def _format(self, total: int, note: str) -> str:
        """Return what is drawn: of the time and the parts of the note as many as there is room for beside a bar."""
        whole = "{desc} {percentage:3.0f}% |{bar}| {n:,}/{total:,}"
        room = os.get_terminal_size(sys.stderr.fileno()).columns - _LEAST
        room -= cell_len(f"{self._label} 100% || {total:,}/{total:,} []")
        parts = {"{elapsed}<{remaining}": len("00:00<00:00")}
        parts |= {part.replace("{", "{{").replace("}", "}}"): 2 + cell_len(part) for part in note.split(", ") if note}
        parts |= {} if note else {"{rate_noinv_fmt}": len(", 1234.56/s")}
        ends = accumulate(parts.values())
        shown = [part for part, end in zip(parts, ends, strict=True) if end <= room]
        return f"{whole} [{', '.join(shown)}]" if shown else whole

    def _begin(self, done: int, total: int, shown: str) -> tqdm[Any]:
        from tqdm import tqdm

        end_bar()
        tqdm.monitor_interval = 0  # no thread
        tqdm.set_lock(threading.RLock())  # its own is shared between processes: a semaphore of the system
        bar = tqdm(
            desc=self._label, total=total, initial=done if self._passing else 0,  # a training may be a resumed one
            leave=not self._passing, dynamic_ncols=True, miniters=1, unit="", bar_format=shown,
        )  # fmt: skip
        if not self._passing:
            bar.start_t -= time.monotonic() - self._began  # the first step has taken time, too
        _bars.append(bar)
        return bar

    def _tell(self, done: int, total: int, note: str) -> None:
        tenth, now = done * 10 // total, time.monotonic()
        if tenth > self._tenth and (now - self._told > 5 or (done == total and not self._passing)):
            self._tenth, self._told = tenth, now
            rate = done / max(now - self._began, 1e-9)
            note = note or (f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
            click.echo(f"{self._label}: {done:,} of {total:,} ({note})", err=True)


def clear_bar() -> None:
    """Erase the bar to make room for a line; its next step draws it again."""
    for bar in _bars:
        bar.clear()


def end_bar() -> None:
    """End the bar, complete or not."""
    while _bars:
        _bars.pop().close()
