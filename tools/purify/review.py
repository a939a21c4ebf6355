"""A reviewer's decisions, read from a CSV file."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sciu.pipeline.errors import first_line, shown
from sciu.tools.command.csv_file import original
from sciu.tools.purify.common import class_number
from sciu.tools.purify.places import Places

if TYPE_CHECKING:
    from sciu.purification import Pin

_DELIMITERS = ",;\t"  # the second is what spreadsheets write where the decimal mark is a comma
ACTIONS = ("keep", "drop", "label", "free")
Row = dict[str, str]


def pin_of(places: Places, clip: str, action: str, label: str | None, who: str, why: str) -> Pin:
    """Return a decision about a clip, which is given as users name it, as is its label."""
    from sciu.purification import Pin

    number = None if label is None else class_number(places.purifier, label)
    return Pin(clip=places.number(clip), action=action, label=number, who=who, why=why)  # type: ignore[arg-type] # checked there


def read_review(file: Path, places: Places, who: str) -> list[Pin]:
    """Return the decisions in a file, at most one about a clip."""
    lines: dict[int, int] = {}  # by clip
    pins = []
    for line, row in _read(file):
        pin = _decision(places, f"line {line} of '{shown(str(file))}'", row, who)
        if pin.clip in lines:
            raise click.UsageError(
                f"'{shown(str(file))}' must decide about a clip once, but lines {lines[pin.clip]} and {line} are both"
                f" about clip {pin.clip}, '{shown(places.path(pin.clip))}'. Remove one of them."
            )
        lines[pin.clip] = line
        pins.append(pin)
    return _own_reasons(places, pins)


def _read(file: Path) -> list[tuple[int, Row]]:
    """Return the rows that have an action, with their line numbers."""
    name = shown(str(file))
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            header = lines.readline()
            lines.seek(0)
            table = csv.DictReader(lines, delimiter=max(_DELIMITERS, key=header.count))
            columns = table.fieldnames or ()
            rows = [(table.line_num, {column: original(row[column] or "") for column in columns}) for row in table]
    except FileNotFoundError:
        raise click.UsageError(f"'{name}' does not exist. Correct the path of the reviewer's CSV file.") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"'{name}' must be UTF-8, but is not. Save it as UTF-8.") from None
    except csv.Error as error:
        raise click.UsageError(f"'{name}' must be CSV, but: {first_line(error)}. Save it as CSV.") from None
    if not {"clip", "action"} <= set(columns):
        raise click.UsageError(f"'{name}' must have columns clip and action, but has {[*columns]}.")
    return [(line, row) for line, row in rows if row["action"].strip()]


def _decision(places: Places, where: str, row: Row, who: str) -> Pin:
    """Return the decision of a row; its label counts only if the action is `label`."""
    action = row["action"].strip().lower()
    if action not in ACTIONS:
        raise click.UsageError(f"{where}: action must be one of {list(ACTIONS)}, but is {row['action']!r}.")
    from sciu.purification import PurifierError

    try:
        label = row.get("label", "") if action == "label" else None
        return pin_of(places, row["clip"], action, label, row.get("who") or who, row.get("why", ""))
    except (click.ClickException, PurifierError) as error:
        message = error.message if isinstance(error, click.ClickException) else str(error)
        raise click.UsageError(f"{where}: {message}") from None


def _own_reasons(places: Places, pins: list[Pin]) -> list[Pin]:
    """Drop reasons that are those of the policy, from the export that the review was made of."""
    from sciu.purification.care.report import Report

    rows = places.rows(Report.of(places.purifier), [pin.clip for pin in pins])
    return [replace(pin, why="") if pin.why == row.why else pin for pin, row in zip(pins, rows, strict=True)]
