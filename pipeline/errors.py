"""Errors shared by the packages of the pipeline; each package has its own errors in its `errors.py`.

ValueError
└── OneLineError        what the errors of all packages of the pipeline are
    └── SettingError  2   a setting is invalid
BaseException
└── Stopped             a signal requested the stop; there is no error

`exit_code` is the exit code of a command. The message is one line: the requirement, the actual value, and the remedy.
Any other exception is a bug of ours, or the system's.
"""

from __future__ import annotations

import re
import signal

MEMORY_IS_FULL = re.compile(
    "out of memory|can't allocate memory|failed to allocate|bad_alloc|ALLOC_FAILED", re.IGNORECASE
)
"""The messages of torch, DALI and cuDNN; FFmpeg's is that of damaged files, too, and not here."""


class OneLineError(ValueError):
    """An error of ours. Its message is one line, whatever names and values it contains."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))


class SettingError(OneLineError):
    """A setting is invalid."""

    exit_code = 2


class Stopped(BaseException):
    """A signal requested the stop. Not an Exception: only the command itself handles it, after every `finally`."""

    def __init__(self, number: int = signal.SIGTERM, message: str = "") -> None:
        super().__init__(message)
        self.number = number
        self.message = message  # what to print; empty if another rank prints it


def require(holds: bool, what: str, must: str, value: object) -> None:
    """Raise a SettingError in the common form unless `holds`."""
    if not holds:
        raise SettingError(f"{what} must be {must}, but is {value}.")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type if it has none: libraries report in paragraphs."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def kind_and_line(error: BaseException) -> str:
    """Return an error's type and the first line of its message, for errors of code that is not ours."""
    kind, line = type(error).__name__, first_line(error)
    return kind if line == kind else f"{kind}: {line}"


def count(number: int, what: str) -> str:
    """Return a number of things, `1 epoch` or `2 epochs`."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def shown(text: str) -> str:
    """Return a name or path for a message: what would end the line or control a terminal is escaped, as `repr` does."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
