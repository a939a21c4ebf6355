"""A terminal for commands under test, and what a person sees on it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass

from rich.cells import cell_len

COLOURS = ("NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM")
_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Seen:
    """What was written to a terminal, and the exit code."""

    written: str
    code: int

    @property
    def lines(self) -> list[str]:
        """The lines on the screen, after everything that was drawn over; without colours."""
        lines: list[list[str]] = [[]]
        column = 0
        for char in _SEQUENCE.sub("", self.written):
            if char == "\n":
                lines.append([])
            elif char == "\r":
                column = 0
            else:
                line, width = lines[-1], cell_len(char)
                line += [" "] * (column + width - len(line))
                line[column : column + width] = [char, *[""] * (width - 1)]
                column += width
        return ["".join(line).rstrip() for line in lines if "".join(line).strip()]

    @property
    def frames(self) -> list[str]:
        """What was drawn on top of each other, piece by piece."""
        return re.split(r"[\r\n]+", _SEQUENCE.sub("", self.written))


def run_plainly(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a Python script with its output in pipes."""
    command = [sys.executable, "-c", script]
    return subprocess.run(
        command, env=_environment(environment), capture_output=True, text=True, timeout=60, check=False
    )


def run_in_terminal(script: str, *, columns: int = 80, rows: int = 24, **environment: str) -> Seen:
    """Run a Python script on a terminal of a size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    command = [sys.executable, "-c", script]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=_environment({"TERM": "xterm", **environment})
    )
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # raised when the last process has left the terminal
        while piece := os.read(ours, 65536):
            written += piece
    os.close(ours)
    return Seen(written.decode(), process.wait(timeout=60))


def _environment(changed: dict[str, str]) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if name not in COLOURS}, **changed}
