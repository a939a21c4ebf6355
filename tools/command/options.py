"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from typing import Any

import click

from sciu.pipeline.errors import SettingError, require


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines.")(command)


def as_names(_context: click.Context, option: click.Parameter, given: str | Sequence[str]) -> list[str]:
    """Read an option whose values are names separated by commas; a name in double quotes may have commas itself."""
    texts = [given] if isinstance(given, str) else given
    try:
        names = [name.strip() for row in csv.reader(texts, skipinitialspace=True) for name in row if name.strip()]
    except csv.Error as error:
        raise SettingError(f"{option.opts[0]} must be names separated by commas, but is {texts}: {error}.") from error
    require(len(set(names)) == len(names), option.opts[0], "different names", names)
    return names


def as_pairs(_context: click.Context, option: click.Parameter, texts: Sequence[str]) -> dict[str, str]:
    """Read an option whose values are `NAME=NAME`."""
    pairs = [[side.strip() for side in text.partition("=")] for text in texts]
    for text, pair in zip(texts, pairs, strict=True):
        require(all(pair), option.opts[0], "of the form NAME=NAME", repr(text))
    found = {left: right for left, _, right in pairs}
    require(len(found) == len(texts), option.opts[0], "about different names", list(texts))
    return found
