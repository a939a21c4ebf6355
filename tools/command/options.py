"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import csv
import importlib
import os
import shlex
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from sciu.pipeline.errors import SettingError, require


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines.")(command)


def replace_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--replace` to a command that writes a file."""
    return click.option("--replace", is_flag=True, help="Replace the file that is written if it exists.")(command)


def checkpoint_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--checkpoint` to a command that takes a run's network."""
    return click.option(
        "--checkpoint", default="last", help="Use this checkpoint: last, best, or the number of an epoch that is kept."
    )(command)


def network_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a command that lets a run's network predict: `--checkpoint`, `--views`, `--device`."""
    options = (
        checkpoint_option,
        click.option(
            "--views", type=click.IntRange(1, 64), help="Average this many views of a clip.  [default: as in training]"
        ),
        click.option("--device", default="auto", help="Predict on this device: auto, cpu, cuda or cuda:N."),
    )
    for option in reversed(options):  # as decorators are applied
        command = option(command)
    return command


def imported(place: str) -> Any:
    """Import `module:attribute`."""
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


class LazyChoice(click.Choice[str]):
    """A choice among the names of `module:attribute`, which is imported only when the option is used or explained."""

    def __init__(self, place: str) -> None:  # not click's, which copies the names
        self.place = place
        self.case_sensitive = True

    @cached_property
    def choices(self) -> Sequence[str]:  # type: ignore[override] # not yet known when the option is made
        """The names."""
        return tuple(imported(self.place))


def require_writable(folder: Path, option: str, remedy: str = "") -> None:
    """Raise before the work if no file can be written into the folder that an option says, or its default."""
    if not folder.exists():
        make = f"`mkdir -p {shlex.quote(str(folder))}`"
        raise SettingError(f"{option} must be in a folder that exists, but '{folder}' does not: {make}.")
    if not os.access(folder, os.W_OK):
        raise SettingError(f"{option} must be in a folder that can be written, but '{folder}' cannot.{remedy}")


def require_new_file(out: Path, *, replace: bool, option: str = "--out") -> None:
    """Raise before the work if the file of an option cannot be written, or is there: it may be a clip, or a run's."""
    require_writable(out.absolute().parent, option)
    if os.path.lexists(out) and not (replace and out.is_file()):
        raise SettingError(f"{option} must be a new file, but '{out}' exists. Choose another name, or give --replace.")


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
