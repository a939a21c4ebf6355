"""What commands print: lines for people on stderr, JSON for machines."""

from __future__ import annotations

import json
from typing import Any

import click

from sciu.tools.command.progress import clear_bar
from sciu.tools.command.terminal import colours_wanted

_COLOURS = {"Error": "red", "Warning": "yellow"}


def print_json(value: dict[str, Any]) -> None:
    """Print an object as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def say(line: str) -> None:
    """Print a line on stderr, above the progress bar; errors and warnings are coloured."""
    clear_bar()
    colour = _COLOURS.get(line.partition(":")[0])
    click.echo(click.style(line, colour) if colour else line, err=True, color=colours_wanted())


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.0f} s"
