"""The errors of this package; `exit_code` is the exit code of a command.

ValueError
└── PurifierError         3   the store cannot be used, or scores are invalid
    ├── PolicyError       2   thresholds, windows, guards or pins that make no sense
    ├── DamagedError      3   a block of the store is not what was written
    └── WriteFailedError  3   the disk is full or refuses to write; all that was acknowledged is still stored
"""

from __future__ import annotations

import operator
from typing import Any


class PurifierError(ValueError):
    """The store or the scores are invalid, or the call comes at the wrong time."""

    exit_code = 3


class PolicyError(PurifierError):
    """A setting that makes no sense."""

    exit_code = 2


class DamagedError(PurifierError):
    """Bytes of the store are not those that were written."""


class WriteFailedError(PurifierError):
    """A transaction could not be written. Nothing acknowledged is lost: free some space and call again."""


def whole(name: str, value: Any) -> int:
    """Convert any integer type to int; raise for all else."""
    try:
        return operator.index(value)
    except TypeError:
        raise PolicyError(f"`{name}` must be a whole number, but is {value!r}.") from None
