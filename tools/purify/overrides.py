"""Deciding: pin, undo, and a reviewer's decisions. They hold from the next epoch on."""

from __future__ import annotations

import csv
import getpass
import os
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


who_option = click.option("--who", default=_user, show_default="you", help="Who says so.")
why_option = click.option("--why", default="", help="Why; it stays in the history.")


@click.command()
@run_argument
@click.argument("clip")
@click.option("--keep", is_flag=True, help="It stays in the training set; its label may be corrected.")
@click.option("--drop", is_flag=True, help="It leaves the training set.")
@click.option("--label", help="It stays, with this label.")
@click.option("--free", is_flag=True, help="The policy decides again.")
@who_option
@why_option
@json_option
def pin(
    run: Path, clip: str, keep: bool, drop: bool, label: str | None, free: bool, who: str, why: str, as_json: bool
) -> None:
    """Decide about a clip yourself: a pin wins over the policy until it is freed.

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
@click.option("--epoch", type=int, help="What the end of this epoch did: to CLIP, or without CLIP to all.")
@who_option
@why_option
@json_option
def undo(run: Path, clip: str | None, epoch: int | None, who: str, why: str, as_json: bool) -> None:
    """Take back the last change of a clip, or all that the end of an epoch did; the history keeps both.

    A clip that comes back is judged again when it has a whole window of new scores. Undone twice, a change stands.

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
    """Take a reviewer's decisions from a CSV: columns clip, action (keep, drop, label, free), label, why. All or none.

    CLIP is an id or a path, so that an export can be edited and sent back.

    Example: sciu-purify import-review runs/dfew reviewed.csv --who anna
    """
    with open_run(run) as purifier:
        pins = [_reviewed(purifier, f"line {line} of '{file}'", row, who) for line, row in _read_review(file)]
        purifier.review(pins)
        _answer(purifier, [pin.clip for pin in pins], as_json)


@click.command()
@run_argument
@click.argument("clip")
@who_option
@why_option
@json_option
def quarantine(run: Path, clip: str, who: str, why: str, as_json: bool) -> None:
    """Take a clip whose file is damaged out of a run, from the next epoch on.

    Example: sciu-purify quarantine runs/dfew 01234.mp4 --why "green from its tenth frame on"
    """
    with open_run(run) as purifier:
        number = clip_number(purifier, clip)
        purifier.quarantine([number], why, who=who)
        _answer(purifier, [number], as_json)


@click.command()
@run_argument
@click.argument("clip")
@who_option
@why_option
@json_option
def release(run: Path, clip: str, who: str, why: str, as_json: bool) -> None:
    """Bring a clip back from quarantine once its file is mended, from the next epoch on.

    If the dataset itself has the clip in quarantine, run `sciu-data check` first: it stays out as long as it has.

    Example: sciu-purify release runs/dfew 01234.mp4 --why "copied again"
    """
    with open_run(run) as purifier:
        number = clip_number(purifier, clip)
        purifier.release([number], why, who=who)
        _answer(purifier, [number], as_json)


def _pin(purifier: Purifier, clip: int, action: str, label: str | None, who: str, why: str) -> Pin:
    from sciu.purification import Pin

    number = None if label is None else class_number(purifier, label)
    return Pin(clip=clip, action=action, label=number, who=who, why=why)  # type: ignore[arg-type] # checked there


def _read_review(file: Path) -> list[tuple[int, dict[str, str]]]:
    """Read the rows that decide something, with their line numbers."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            table = csv.DictReader(lines)
            rows = [(table.line_num, {name: value or "" for name, value in row.items()}) for row in table]
    except FileNotFoundError:
        raise click.UsageError(f"'{file}' must be a reviewer's CSV, but is not there. Correct the path.") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"'{file}' must be UTF-8, but is not. Save it as UTF-8.") from None
    if not {"clip", "action"} <= set(table.fieldnames or ()):
        raise click.UsageError(f"'{file}' must have columns clip and action, but has {table.fieldnames}.")
    return [(line, row) for line, row in rows if row["action"].strip()]


def _reviewed(purifier: Purifier, where: str, row: dict[str, str], who: str) -> Pin:
    """Read a decision; an export's other columns, its label too where the action needs none, say nothing."""
    action = row["action"].strip().lower()
    if action not in ACTIONS:
        raise click.UsageError(f"{where}: action must be one of {list(ACTIONS)}, but is {row['action']!r}.")
    try:
        label = row.get("label", "") if action == "label" else None
        return _pin(
            purifier, clip_number(purifier, row["clip"]), action, label, row.get("who") or who, row.get("why", "")
        )
    except (click.ClickException, ValueError) as error:
        told = error.message if isinstance(error, click.ClickException) else str(error)
        raise click.UsageError(f"{where}: {told}") from None


def _answer(purifier: Purifier, clips: list[int], as_json: bool) -> None:
    from sciu.purification.care.report import Report

    rows = rows_of_clips(Report.of(purifier), purifier, clips)
    if as_json:
        print_json({"clips": [row.to_json() for row in rows], "from_epoch": purifier.epoch + 1})
        return
    print_clips(("clip", "path", "given", "label", "status", "why"), rows[:SHOWN])
    click.echo(f"{len(rows):,} clips changed, from epoch {purifier.epoch + 1} on.")
