"""The errors of this room; `exit_code` is what a command ends with.

ValueError
└── PurifierError         3   a store that cannot serve, or scores that cannot be taken
    ├── PolicyError       2   thresholds, windows, guards or pins that make no sense
    ├── DamagedError      3   a block of the store that is not what was written
    └── WriteFailedError  3   no room on the disk, or a disk that refuses; all that was acknowledged is still there
"""

from __future__ import annotations

import operator
from typing import Any


class PurifierError(ValueError):
    """The store, the scores or the moment is not what it must be."""

    exit_code = 3


class PolicyError(PurifierError):
    """A setting that makes no sense."""

    exit_code = 2


class DamagedError(PurifierError):
    """Bytes that are not those that were written."""


class WriteFailedError(PurifierError):
    """The disk has not taken a transaction. Nothing acknowledged is lost: free some space and call again."""


def whole(name: str, value: Any) -> int:
    """Return a whole number of any integer type; refuse all else."""
    try:
        return operator.index(value)
    except TypeError:
        raise PolicyError(f"`{name}` must be a whole number, but is {value!r}.") from None
