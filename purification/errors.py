"""The errors of this package; `exit_code` is the exit code of a command.

ValueError
└── PurifierError         3   the store cannot be used, or scores are invalid
    ├── PolicyError       2   thresholds, windows, guards or pins that make no sense
    ├── ChangedError      1   somebody has changed since what was to be changed
    ├── DamagedError      3   a block of the store is not what was written
    └── WriteFailedError  1   the disk is full or refuses to write; all that was acknowledged is still stored
"""

from __future__ import annotations

import operator
from dataclasses import MISSING, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Declared = TypeVar("Declared")


class PurifierError(ValueError):
    """The store or the scores are invalid, or the call comes at the wrong time. The message is one line."""

    exit_code = 3

    def __init__(self, message: str) -> None:
        super().__init__(_escaped(message))


class PolicyError(PurifierError):
    """A setting that makes no sense."""

    exit_code = 2


class ChangedError(PurifierError):
    """Somebody has changed since what was to be changed. Nothing was done: look again, then decide."""

    exit_code = 1


class DamagedError(PurifierError):
    """Bytes of the store are not those that were written."""


class WriteFailedError(PurifierError):
    """A transaction could not be written. Nothing acknowledged is lost: free some space and call again."""

    exit_code = 1


def whole(name: str, value: Any) -> int:
    """Convert any integer type to int; raise for all else."""
    try:
        return operator.index(value)
    except TypeError:
        raise PolicyError(f"`{name}` must be a whole number, but is {value!r}.") from None


def declared(cls: type[Declared], content: Any, what: str) -> Declared:
    """Build a dataclass from JSON; raise if a field is missing or not of its type. What it does not know is ignored."""
    if not isinstance(content, dict):
        raise DamagedError(f"{what} must be a JSON object, but is {_short(content)}.")
    given: dict[str, Any] = {}
    types = _types(cls)  # type: ignore[arg-type] # a class is hashable
    for each in fields(cls):  # type: ignore[arg-type] # a dataclass
        value = content.get(each.name)
        if value is None and (each.default is not MISSING or each.default_factory is not MISSING):
            continue
        if not _is_a(value, types[each.name]):
            raise DamagedError(f"`{each.name}` of {what} must be {types[each.name]}, but is {_short(value)}.")
        given[each.name] = value
    return cls(**given)


@cache
def _types(cls: Any) -> dict[str, Any]:  # 0.1 ms, and a store has thousands of events
    return get_type_hints(cls)


def _is_a(value: Any, kind: Any) -> bool:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_is_a(value, part) for part in parts)
    if origin is Literal:  # a later version may have more values
        return isinstance(value, str)
    if origin is list:
        return isinstance(value, list) and all(_is_a(each, parts[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(_is_a(each, parts[1]) for each in value.values())
    if kind in (int, float) and isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < _LARGEST
    return kind is Any or isinstance(value, NoneType if kind is None else kind)


def _escaped(text: str) -> str:
    """Escape what would end a line or control a terminal. `pipeline/errors.py` does the same; neither imports it."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


_LARGEST = 2**31  # of whole numbers in JSON: all that we write count epochs, events or clips
_SHOWN = 60
