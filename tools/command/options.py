"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from sciu.pipeline.errors import SettingError, require


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines.")(command)


def replace_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--replace` to a command that writes a file."""
    return click.option("--replace", is_flag=True, help="Replace the file of --out if there is one.")(command)


def require_new_file(out: Path, *, replace: bool) -> None:
    """Raise before the work if the file of `--out` cannot be written, or is there: it may be a clip, or a run's own."""
    folder = out.absolute().parent
    if not os.access(folder, os.W_OK):
        raise SettingError(f"--out must be in a folder that can be written, but '{folder}' cannot.")
    if os.path.lexists(out) and not (replace and out.is_file()):
        raise SettingError(f"--out must be a new file, but '{out}' exists. Choose another name, or give --replace.")


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
    """Read an option whose values are `NAME=NAME`; a name in double quotes may have = itself."""
    found = {}
    for text in texts:
        pair = [side.strip() for side in next(csv.reader([text], delimiter="=", skipinitialspace=True), [])]
        form = "NAME=NAME" if text.count("=") < 2 else "NAME=NAME, a name that has = itself in double quotes"
        require(len(pair) == 2 and all(pair), option.opts[0], f"of the form {form}", repr(text))
        found[pair[0]] = pair[1]
    require(len(found) == len(texts), option.opts[0], "about different names", list(texts))
    return found
