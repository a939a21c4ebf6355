"""The commands pin, undo, import-review, quarantine and release. They take effect from the next epoch on."""

from __future__ import annotations

import csv
import getpass
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sciu.tools.command import json_option, print_json
from sciu.tools.purify.common import class_number, clip_number, open_run, print_clips, rows_of_clips, run_argument

if TYPE_CHECKING:
    from sciu.purification import Pin, Purifier

ACTIONS = ("keep", "drop", "label", "free")
SHOWN = 20


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


who_option = click.option("--who", default=_user, show_default="you", help="Record who decided.")
why_option = click.option("--why", default="", help="Record the reason in the history.")


@click.command()
@run_argument
@click.argument("clip")
@click.option("--keep", is_flag=True, help="Keep the clip in the training set; its label may be corrected.")
@click.option("--drop", is_flag=True, help="Remove the clip from the training set.")
@click.option("--label", help="Keep the clip, with this label.")
@click.option("--free", is_flag=True, help="Let the policy decide again.")
@who_option
@why_option
@json_option
def pin(
    run: Path, clip: str, keep: bool, drop: bool, label: str | None, free: bool, who: str, why: str, as_json: bool
) -> None:
    """Decide about a clip yourself; a pin overrides the policy until it is freed.

    Example: sciu-purify pin runs/dfew 01234.mp4 --label Happy --why "seen it"
    """
    actions = {"keep": keep, "drop": drop, "label": label is not None, "free": free}
    chosen = [name for name, given in actions.items() if given]
    if len(chosen) != 1:
        raise click.UsageError("a pin is one of --keep, --drop, --label NAME and --free. Give exactly one.")
    with open_run(run) as purifier:
        number = clip_number(purifier, clip)
        purifier.review([_pin(purifier, number, chosen[0], label, who, why)])
        _answer(purifier, [number], as_json)


@click.command()
@run_argument
@click.argument("clip", required=False)
@click.option("--epoch", type=int, help="Undo what the end of this epoch changed: CLIP, or all clips.")
@who_option
@why_option
@json_option
def undo(run: Path, clip: str | None, epoch: int | None, who: str, why: str, as_json: bool) -> None:
    """Undo the last change of a clip, or all changes of an epoch's end; the history keeps both.

    A clip that returns is judged again once it has a full window of new scores. Undoing an undo restores the change.

    Example: sciu-purify undo runs/dfew 01234.mp4 --why "not blurred at all"
    """
    with open_run(run) as purifier:
        number = None if clip is None else clip_number(purifier, clip)
        _answer(purifier, purifier.undo(clip=number, epoch=epoch, who=who, why=why).tolist(), as_json)


@click.command("import-review")
@run_argument
@click.argument("file", type=click.Path(path_type=Path))
@who_option
@json_option
def import_review(run: Path, file: Path, who: str, as_json: bool) -> None:
    """Import a reviewer's decisions from a CSV file, all or none.

    Its columns are clip (an id or a path), action (keep, drop, label, free), label, why and who; others are ignored. An
    export with a column `action` will do: a `why` that is still the export's own is not taken for the reviewer's.

    Example: sciu-purify import-review runs/dfew reviewed.csv --who anna
    """
    with open_run(run) as purifier:
        pins = [_reviewed(purifier, f"line {line} of '{file}'", row, who) for line, row in _read_review(file)]
        purifier.review(_own_reasons(purifier, pins))
        _answer(purifier, [pin.clip for pin in pins], as_json)


@click.command()
@run_argument
@click.argument("clip")
@who_option
@why_option
@json_option
def quarantine(run: Path, clip: str, who: str, why: str, as_json: bool) -> None:
    """Exclude a clip whose file is damaged, from the next epoch on.

    Example: sciu-purify quarantine runs/dfew 01234.mp4 --why "green from its tenth frame on"
    """
    with open_run(run) as purifier:
        number = clip_number(purifier, clip)
        _answer(purifier, purifier.quarantine([number], why, who=who).tolist(), as_json)


@click.command()
@run_argument
@click.argument("clip")
@who_option
@why_option
@json_option
def release(run: Path, clip: str, who: str, why: str, as_json: bool) -> None:
    """Return a clip from quarantine once its file is repaired, from the next epoch on.

    If the dataset itself has the clip in quarantine, run `sciu-data check` first: it stays out until that releases it.

    Example: sciu-purify release runs/dfew 01234.mp4 --why "copied again"
    """
    with open_run(run) as purifier:
        number = clip_number(purifier, clip)
        _answer(purifier, purifier.release([number], why, who=who).tolist(), as_json)


def _pin(purifier: Purifier, clip: int, action: str, label: str | None, who: str, why: str) -> Pin:
    from sciu.purification import Pin

    number = None if label is None else class_number(purifier, label)
    return Pin(clip=clip, action=action, label=number, who=who, why=why)  # type: ignore[arg-type] # checked there


def _read_review(file: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the rows that have an action, with their line numbers."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            table = csv.DictReader(lines)
            rows = [(table.line_num, {name: value or "" for name, value in row.items()}) for row in table]
    except FileNotFoundError:
        raise click.UsageError(f"'{file}' does not exist. Correct the path of the reviewer's CSV file.") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"'{file}' must be UTF-8, but is not. Save it as UTF-8.") from None
    if not {"clip", "action"} <= set(table.fieldnames or ()):
        raise click.UsageError(f"'{file}' must have columns clip and action, but has {table.fieldnames}.")
    return [(line, row) for line, row in rows if row["action"].strip()]


def _reviewed(purifier: Purifier, where: str, row: dict[str, str], who: str) -> Pin:
    """Return the pin of a row; its label counts only if the action is `label`."""
    action = row["action"].strip().lower()
    if action not in ACTIONS:
        raise click.UsageError(f"{where}: action must be one of {list(ACTIONS)}, but is {row['action']!r}.")
    try:
        label = row.get("label", "") if action == "label" else None
        return _pin(
            purifier, clip_number(purifier, row["clip"]), action, label, row.get("who") or who, row.get("why", "")
        )
    except (click.ClickException, ValueError) as error:
        message = error.message if isinstance(error, click.ClickException) else str(error)
        raise click.UsageError(f"{where}: {message}") from None


def _own_reasons(purifier: Purifier, pins: list[Pin]) -> list[Pin]:
    """Drop reasons that are those of the policy, from the export that the review was made of."""
    from sciu.purification.care.report import Report

    rows = rows_of_clips(Report.of(purifier), purifier, [pin.clip for pin in pins])
    return [replace(pin, why="") if pin.why == row.why else pin for pin, row in zip(pins, rows, strict=True)]


def _answer(purifier: Purifier, clips: list[int], as_json: bool) -> None:
    from sciu.purification.care.report import Report

    rows = rows_of_clips(Report.of(purifier), purifier, clips)
    if as_json:
        print_json({"clips": [row.to_json() for row in rows], "from_epoch": purifier.epoch + 1})
        return
    print_clips(("clip", "path", "given", "label", "status", "why"), rows[:SHOWN])
    if len(rows) > SHOWN:
        click.echo(f"... and {len(rows) - SHOWN:,} more")
    changed = "1 clip" if len(rows) == 1 else f"{len(rows):,} clips"
    click.echo(f"{changed} changed, from epoch {purifier.epoch + 1} on." if rows else "Nothing changed.")
