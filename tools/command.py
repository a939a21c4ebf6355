"""What every command shares: one line for an error, exit codes, tables for people, JSON for machines, progress."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from types import FrameType
from typing import Any

import click

from sciu.pipeline.errors import Stopped

RUN_FAILED = 1


_BY_SIGTERM = "stopped by SIGTERM"
_arrived: list[int] = []  # signals: Python drops an exception that one raises inside a destructor; this remains


class Command(click.Command):
    """A command that turns errors into one line and an exit code; it has `--version` unless it is in a group."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's parameters and, unless it is in a group, `--version`."""
        return super().get_params(ctx) + ([] if ctx.parent else [_VERSION])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line and exit."""
        _arrived.clear()
        signal.signal(signal.SIGTERM, _stop)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # and not ignored, as in the background
            signal.signal(signal.SIGINT, _stop)
        try:
            sys.exit(super().main(*args, **{**kwargs, "standalone_mode": False}) or 0)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            _complain("stopped by the keyboard (SIGINT)")
            sys.exit(128 + signal.SIGINT)
        except Stopped as stopped:
            if stopped.message:
                _complain(stopped.message)
            sys.exit(128 + stopped.number)
        except (OSError, MemoryError) as error:
            _complain(_system_message(error))
            sys.exit(RUN_FAILED)
        except ValueError as error:
            if not hasattr(error, "exit_code"):  # not an error class of ours: a bug, which shows its traceback
                raise
            _complain(" ".join(str(error).split()))
            sys.exit(error.exit_code)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # no clean stop while the interpreter ends
            if signal.getsignal(signal.SIGINT) is _stop:
                signal.signal(signal.SIGINT, signal.default_int_handler)


class Group(Command, click.Group):
    """A group of commands that handles errors the same way."""


def _stop(number: int, _frame: FrameType | None) -> None:
    _arrived.append(number)
    _raise_for(number)


def _raise_for(number: int) -> None:
    raise KeyboardInterrupt if number == signal.SIGINT else Stopped(message=_BY_SIGTERM)


def pending_signal() -> int:
    """Return a signal that has arrived and whose exception was lost, else 0."""
    return _arrived[0] if _arrived else 0


def _system_message(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "Out of memory. Choose smaller sizes, or a larger machine."
    where = f"'{os.fsdecode(error.filename)}': " if isinstance(error.filename, str | bytes) else ""
    return f"{where}{error.strerror or error}. Free the disk or correct the path, then run the command again."


def _complain(message: str) -> None:
    click.echo(f"Error: {message}", err=True)


def _show_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"sciu {metadata.version('sciu')}")
        context.exit()


_VERSION = click.Option(
    ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_show_version,
    help="Show the version and exit.",
)  # fmt: skip


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines.")(command)


def print_json(value: dict[str, Any]) -> None:
    """Print an object as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns, numbers right-aligned."""
    texts = [
        [f"{cell:,}" if isinstance(cell, int) else "-" if cell is None else str(cell) for cell in row] for row in rows
    ]
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
        if _arrived and not self._passing:
            _raise_for(_arrived[0])
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
