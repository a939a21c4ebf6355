"""`sciu-report`: a page of what training runs learnt, pruned and corrected."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sciu.pipeline.dataset.system.files import write_atomically
from sciu.pipeline.errors import SettingError, shown
from sciu.tools.command import (
    Command,
    Progress,
    json_option,
    print_json,
    replace_option,
    require_new_file,
    require_writable,
)
from sciu.tools.command.csv_file import csv_file
from sciu.tools.purify.places import data_option, dataset_of

if TYPE_CHECKING:
    from sciu.tools.report.records import RunRecord

_PATH = click.Path(path_type=Path)
_TEXT = 7_000_000  # bytes of all that is said of clips: 13,000 with a change or two each
_MOST_PREVIEWS = 1000
_PREVIEWS = 8_000_000  # bytes of previews, a third more in the page; with the charts library it stays under 25 MB


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=_PATH)
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "table", "csv"]),
    default="html",
    help="Write a page (html), or compare the runs, a row a run: for a terminal (table) or a spreadsheet (csv).",
)
@click.option("--out", type=_PATH, help="Write into this file.  [default: of html report.html in the first run]")
@replace_option
@click.option("--previews", type=click.IntRange(min=0), help="Show at most this many moving previews.  [default: 1000]")
@data_option
@json_option
def main(
    runs: tuple[Path, ...], form: str, out: Path | None, replace: bool, previews: int | None, data: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Write one HTML page about training runs, which opens without a network, or compare them in a table.

    The page shows the results, what was pruned, corrected and decided by people with the history of each clip, and the
    configuration.
    Several runs are compared, with a plain one as the baseline if it is among them. A run may still train; what cannot
    be read is left out and named.

    Example: sciu-report runs/dfew-auto runs/dfew-plain --out report.html

    Example: sciu-report runs/* --format csv --out runs.csv
    """
    if len({os.path.realpath(run) for run in runs}) < len(runs):
        raise SettingError(f"RUN must be different runs, but is {[*map(str, runs)]}.")
    if out:
        require_new_file(out, replace=replace)
    elif form == "html" and runs[0].is_dir():
        require_writable(runs[0].absolute(), "The page", " Give it another place: --out FILE.")
    if form != "html" and (previews is not None or data):
        given = "--data" if data else "--previews"
        raise SettingError(f"{given} must be given with --format html, but --format is {form}.")
    if form == "html":
        _write_page(runs, out, _MOST_PREVIEWS if previews is None else previews, data, as_json=as_json)
    else:
        _compare(runs, form, out, as_json=as_json)


def _compare(runs: Sequence[Path], form: str, out: Path | None, *, as_json: bool) -> None:
    from sciu.tools.report.comparison import compared, show

    if out and form == "table":
        raise SettingError("--out must be given with --format html or csv, but --format is table.")
    rows = compared(runs)
    if out:
        write_atomically(out, csv_file([*rows[0]], rows))
    if as_json:
        print_json({"runs": rows})
    elif out:
        click.echo(f"{len(rows):,} runs in '{shown(str(out))}'")
    elif form == "csv":
        click.echo(csv_file([*rows[0]], rows), nl=False)
    else:
        show(rows)


def _write_page(
    runs: Sequence[Path], out: Path | None, previews: int, data: Path | None, *, as_json: bool
) -> None:  # fmt: skip
    from sciu.tools.report.content import page_of
    from sciu.tools.report.page import render
    from sciu.tools.report.reading import read_runs

    found = read_runs(runs, data, _TEXT)
    if not out and found[0].folder != runs[0]:
        raise SettingError(f"--out must be given where the first run cannot be read, but '{runs[0]}' cannot.")
    read, place = _drawn(found, data, previews), out or runs[0] / "report.html"
    page = render(*page_of(read))
    write_atomically(place, page)
    if as_json:
        print_json({"report": str(place), "bytes": len(page), "runs": [_counted(run) for run in read]})
    else:
        _show(place, page, read)


def _drawn(runs: Sequence[RunRecord], data: Path | None, most: int) -> list[RunRecord]:
    """Add previews; runs that have clips to show get equal shares."""
    from sciu.tools.report.previews import with_previews

    shares = max(sum(bool(run.decisions.clips) for run in runs), 1)
    found = []
    for run in runs:
        dataset = dataset_of(run.folder, data) if run.decisions.media else None
        progress = Progress(f"previews of {run.name}")
        found.append(with_previews(run, dataset, most // shares, _PREVIEWS // shares, progress))
    return found


def _counted(run: RunRecord) -> dict[str, Any]:
    counts = run.decisions.counts
    return {
        "run": str(run.folder), "epochs_done": run.epochs_done, "pruned": counts["pruned"],
        "corrected": counts["corrected"], "decided_by_people": counts["people"],
        "clips_shown": len(run.decisions.clips), "previews": run.decisions.previews,
    }  # fmt: skip


def _show(place: Path, page: bytes, runs: Sequence[RunRecord]) -> None:
    click.echo(f"'{shown(str(place))}', {len(page) / 1e6:,.1f} MB: open it in a browser")
    for run in runs:
        there, counts = run.decisions, run.decisions.counts
        people = f" and {counts['people']:,} decided by people" if counts["people"] else ""
        click.echo(
            f"{shown(run.name)}: {counts['pruned'] + counts['corrected']:,} clips pruned or corrected{people},"
            f" {len(there.clips):,} shown, {there.previews:,} with a preview"
        )
