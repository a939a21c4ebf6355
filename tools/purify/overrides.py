"""The commands pin, undo, import-review, quarantine and release. They take effect from the next epoch on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sciu.tools.command import json_option, print_json
from sciu.tools.purify.common import login_name, open_run, print_clips, run_argument
from sciu.tools.purify.places import Places, data_option
from sciu.tools.purify.review import pin_of, read_review

if TYPE_CHECKING:
    from sciu.purification import Purifier

SHOWN = 20


who_option = click.option("--who", default=login_name, show_default="you", help="Record who decided.")
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
@data_option
@json_option
def pin(
    run: Path, clip: str, keep: bool, drop: bool, label: str | None, free: bool, who: str, why: str,
    data: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Decide about a clip yourself; a pin overrides the policy until it is freed.

    Example: sciu-purify pin runs/dfew 01234.mp4 --label Happy --why "seen it"
    """
    actions = {"keep": keep, "drop": drop, "label": label is not None, "free": free}
    chosen = [name for name, given in actions.items() if given]
    if len(chosen) != 1:
        raise click.UsageError("a pin is one of --keep, --drop, --label NAME and --free. Give exactly one.")

    def decide(purifier: Purifier, places: Places) -> list[int]:
        decided = pin_of(places, clip, chosen[0], label, who, why)
        purifier.review([decided])
        return [decided.clip]

    _change(run, data, decide, as_json)


@click.command()
@run_argument
@click.argument("clip", required=False)
@click.option("--epoch", type=int, help="Undo what the end of this epoch changed: CLIP, or all clips.")
@who_option
@why_option
@data_option
@json_option
def undo(run: Path, clip: str | None, epoch: int | None, who: str, why: str, data: Path | None, as_json: bool) -> None:
    """Undo the last change of a clip, or all changes of an epoch's end; the history keeps both.

    A clip that returns is judged again once it has a full window of new scores. Undo a clip again to go back by one
    more change. An undo itself is not undone: to have a change again, pin the clip.

    Example: sciu-purify undo runs/dfew 01234.mp4 --why "not blurred at all"
    """
    _change(
        run, data,
        lambda purifier, places: purifier.undo(
            clip=None if clip is None else places.number(clip), epoch=epoch, who=who, why=why
        ),
        as_json,
    )  # fmt: skip


@click.command("import-review")
@run_argument
@click.argument("file", type=click.Path(path_type=Path))
@who_option
@data_option
@json_option
def import_review(run: Path, file: Path, who: str, data: Path | None, as_json: bool) -> None:
    """Import a reviewer's decisions from a CSV file, all or none.

    Its columns are clip (an id or a path), action (keep, drop, label, free), label, why and who; others are ignored. An
    export with a column `action` will do: a `why` that is still the export's own is not taken for the reviewer's. A
    clip may be decided about once.

    Example: sciu-purify import-review runs/dfew reviewed.csv --who anna
    """

    def decide(purifier: Purifier, places: Places) -> list[int]:
        pins = read_review(file, places, who)
        purifier.review(pins)
        return [pin.clip for pin in pins]

    _change(run, data, decide, as_json)


@click.command()
@run_argument
@click.argument("clip")
@who_option
@why_option
@data_option
@json_option
def quarantine(run: Path, clip: str, who: str, why: str, data: Path | None, as_json: bool) -> None:
    """Exclude a clip whose file is damaged, from the next epoch on.

    Example: sciu-purify quarantine runs/dfew 01234.mp4 --why "green from its tenth frame on"
    """
    _change(
        run, data, lambda purifier, places: purifier.quarantine([places.number(clip)], why, who=who), as_json
    )  # fmt: skip


@click.command()
@run_argument
@click.argument("clip")
@who_option
@why_option
@data_option
@json_option
def release(run: Path, clip: str, who: str, why: str, data: Path | None, as_json: bool) -> None:
    """Return a clip from quarantine once its file is repaired, from the next epoch on.

    If the dataset itself has the clip in quarantine, run `sciu-data check` first: it stays out until that releases it.

    Example: sciu-purify release runs/dfew 01234.mp4 --why "copied again"
    """
    _change(run, data, lambda purifier, places: purifier.release([places.number(clip)], why, who=who), as_json)


def _change(
    run: Path, data: Path | None, decide: Callable[[Purifier, Places], Iterable[int]], as_json: bool
) -> None:  # fmt: skip
    """Let a command change a store, and show the clips that it changed."""
    from sciu.purification.care.report import Report

    with open_run(run) as purifier:
        places = Places.of(purifier, run, data)
        clips = [int(clip) for clip in decide(purifier, places)]
        rows = places.rows(Report.of(purifier), clips)
        coming = purifier.epoch + 1
    if as_json:
        print_json({"clips": [row.to_json() for row in rows], "from_epoch": coming})
        return
    print_clips(("clip", "path", "given", "label", "status", "why"), rows[:SHOWN])
    if len(rows) > SHOWN:
        click.echo(f"... and {len(rows) - SHOWN:,} more")
    changed = "1 clip" if len(rows) == 1 else f"{len(rows):,} clips"
    until = f"the index of epoch {coming - 1} was written when the epoch before it ended"
    click.echo(f"{changed} changed, from epoch {coming} on: {until}." if rows else "Nothing changed.")
