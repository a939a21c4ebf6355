"""What every room of the pipeline refuses or is stopped by; the rooms' own errors are in their `errors.py`.

ValueError
└── SettingError    2   what was asked for makes no sense
BaseException
└── Stopped             somebody asked for the end; nothing is wrong

`exit_code` is what a command ends with. The message is one line: what must be, what is, and the remedy. Any other
exception is a bug of ours, or the system's.
"""

from __future__ import annotations

import re
import signal

MEMORY_IS_FULL = re.compile(
    "out of memory|can't allocate memory|failed to allocate|bad_alloc|ALLOC_FAILED", re.IGNORECASE
)
"""How torch, DALI, FFmpeg and cuDNN say it."""


class SettingError(ValueError):
    """A setting makes no sense."""

    exit_code = 2


class Stopped(BaseException):
    """A signal asked for the end. Not an Exception: only a command's edge handles it, after every `finally`."""

    def __init__(self, number: int = signal.SIGTERM, message: str = "") -> None:
        super().__init__(message)
        self.number = number
        self.message = message  # what to tell; empty where another rank tells it


def require(holds: bool, what: str, must: str, value: object) -> None:
    """Refuse a setting in the one grammar."""
    if not holds:
        raise SettingError(f"{what} must be {must}, but is {value}.")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its kind where it has none: libraries report in paragraphs."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def kind_and_line(error: BaseException) -> str:
    """Return an error's kind and its first line, for what is raised by code that is not ours."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
