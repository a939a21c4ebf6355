"""The commands export, verify and compact."""

from __future__ import annotations

from pathlib import Path

import click

from sciu.tools.command import json_option, print_json
from sciu.tools.purify.common import index_folder, look_into, open_run, rows_of_clips, run_argument, store_folder
from sciu.tools.purify.exports import FORMATS, write_rows
from sciu.tools.purify.inspection import KINDS


@click.command()
@run_argument
@click.option("--format", "kind", type=click.Choice(FORMATS), default="csv", help="Write this format.")
@click.option("--what", type=click.Choice(KINDS), default="all", help="Export clips of this kind.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Write this file.")
@json_option
def export(run: Path, kind: str, what: str, out: Path, as_json: bool) -> None:
    """Export what is known of the clips.

    csv and parquet have every column. file_list has `path label` of the clips that train, as DALI readers take it.
    cleanlab has clip, path, is_label_issue, label_score, given_label, predicted_label, is_low_quality_issue.

    Example: sciu-purify export runs/dfew --format cleanlab --out issues.csv
    """
    from sciu.purification.care.report import Report

    if kind == "file_list" and what not in ("all", "training"):
        raise click.UsageError(f"file_list exports the clips that train, but --what is {what!r}. Remove --what.")
    with look_into(run) as purifier:
        report = Report.of(purifier)
        rows = rows_of_clips(report, purifier, report.chosen("training" if kind == "file_list" else what))
        write_rows(kind, out, rows, purifier.class_names)
    if as_json:
        print_json({"file": str(out), "clips": len(rows)})
    else:
        click.echo(f"{len(rows):,} clips written to '{out}'")


@click.command()
@run_argument
@click.option("--repair", is_flag=True, help="Rebuild what the history records, and reset damaged scores.")
@click.option("--rewrite", is_flag=True, help="Rewrite published indexes that differ from the store.")
@json_option
def verify(run: Path, repair: bool, rewrite: bool, as_json: bool) -> None:
    """Audit the store: pages, checksums, history, decisions, published indexes. Exit with code 1 on problems.

    Example: sciu-purify verify runs/dfew
    """
    from sciu.purification.care.audit import audit
    from sciu.purification.care.repair import repair as repair_store

    store, index = store_folder(run), index_folder(run)
    repaired = repair_store(store) if repair else []
    if rewrite:
        repaired += _rewrite_indexes(store, index)
    problems = [problem.__dict__ for problem in audit(store, index)]
    if as_json:
        print_json({"ok": not problems, "problems": problems, "mended": repaired})
    else:
        for name in repaired:
            click.echo(f"repaired: {name}")
        for problem in problems:
            click.echo(f"{problem['where']}: {problem['what']}. What is left: {problem['left']}")
        click.echo("no problems" if not problems else f"{len(problems)} problems")
    if problems:
        raise SystemExit(1)


@click.command()
@run_argument
@json_option
def compact(run: Path, as_json: bool) -> None:
    """Rewrite the store without its free pages. Stop the training first.

    Example: sciu-purify compact runs/dfew
    """
    purifier = open_run(run, recording=True)
    before, after = purifier.store.compact()
    if as_json:
        print_json({"before": before, "after": after})
    else:
        click.echo(f"{before:,} bytes before, {after:,} after")


def _rewrite_indexes(store: Path, index: Path) -> list[str]:
    from sciu.purification import Purifier
    from sciu.purification.care.audit import differing_indexes

    with Purifier.open(store, read_only=True) as purifier:
        wrong = [epoch for epoch, _, _ in differing_indexes(purifier, index) if epoch <= purifier.epoch]
        for epoch in wrong:
            purifier.index_at(epoch).write(index)
    return [f"index of epoch {epoch}" for epoch in wrong]
