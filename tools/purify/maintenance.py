"""The commands export, verify and compact."""

from __future__ import annotations

from pathlib import Path

import click

from sciu.pipeline.dataset import list_paths
from sciu.pipeline.errors import shown
from sciu.tools.command import json_option, print_json, replace_option, require_new_file
from sciu.tools.purify.common import index_folder, look_into, open_run, run_argument, store_folder
from sciu.tools.purify.exports import FORMATS, write_rows
from sciu.tools.purify.inspection import KINDS
from sciu.tools.purify.places import Places, data_option, dataset_of, require_existing


@click.command()
@run_argument
@click.option("--format", "kind", type=click.Choice(FORMATS), default="csv", help="Write this format.")
@click.option("--what", type=click.Choice(KINDS), default="all", help="Export clips of this kind.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Write this file.")
@replace_option
@data_option
@json_option
def export(run: Path, kind: str, what: str, out: Path, replace: bool, data: Path | None, as_json: bool) -> None:
    """Export what is known of the clips.

    csv and parquet have every column. file_list has `path label` of the clips that train, as DALI readers take it.
    cleanlab has clip, path, is_label_issue, label_score, given_label, predicted_label, is_low_quality_issue. In CSV
    files a text that a spreadsheet would run has an apostrophe in front, which import-review takes off.

    The exit code is 1 if some of the listed paths do not exist; the file is written all the same.

    Example: sciu-purify export runs/dfew --format cleanlab --out issues.csv
    """
    from sciu.purification.care.report import Report

    if kind == "file_list" and what not in ("all", "training"):
        raise click.UsageError(f"file_list exports the clips that train, but --what is {what!r}. Remove --what.")
    require_new_file(out, replace=replace)
    with look_into(run) as purifier:
        places, report = Places.of(purifier, run, data), Report.of(purifier)
        rows = places.rows(report, report.chosen("training" if kind == "file_list" else what))
        rows = places.listed(rows) if kind == "file_list" else rows
        write_rows(kind, out, rows, purifier.class_names)
    if as_json:
        print_json({"file": str(out), "clips": len(rows)})
    else:
        click.echo(f"{len(rows):,} clips written to '{shown(str(out))}'")
    require_existing(rows)


@click.command()
@run_argument
@click.option(
    "--repair", is_flag=True, help="Rebuild what the history and the dataset record, and reset damaged scores."
)
@click.option("--rewrite", is_flag=True, help="Rewrite published indexes that differ from the store.")
@data_option
@json_option
def verify(run: Path, repair: bool, rewrite: bool, data: Path | None, as_json: bool) -> None:
    """Audit the store: pages, checksums, history, decisions, published indexes. Exit with code 1 on problems.

    With --repair, damaged lines of the epoch lists are rebuilt from the dataset, and with --data all of them: add
    --rewrite, so that the lists which are published already have its paths, too.

    Example: sciu-purify verify runs/dfew
    """
    from sciu.purification.care.audit import audit
    from sciu.purification.care.repair import repair as repair_store

    store, index = store_folder(run), index_folder(run)
    repaired = repair_store(store, lambda: _listed(run, data), relist=data is not None) if repair else []
    if rewrite:
        repaired += _rewrite_indexes(store, index)
    problems = [problem.__dict__ for problem in audit(store, index)]
    if as_json:
        print_json({"ok": not problems, "problems": problems, "repaired": repaired})
    else:
        for name in repaired:
            click.echo(shown(f"repaired: {name}"))
        for problem in problems:
            click.echo(shown(f"{problem['where']}: {problem['what']}. What is left: {problem['left']}"))
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


def _listed(run: Path, data: Path | None) -> tuple[str, list[str]] | None:
    """Return the fingerprint and the listed paths of the dataset, None if there is none."""
    dataset = dataset_of(run, data)
    return None if dataset is None else (dataset.fingerprint, list_paths(dataset))


def _rewrite_indexes(store: Path, index: Path) -> list[str]:
    from sciu.purification import Purifier
    from sciu.purification.care.audit import differing_indexes

    with Purifier.open(store, read_only=True) as purifier:
        wrong = [epoch for epoch, _, _ in differing_indexes(purifier, index) if epoch <= purifier.epoch]
        for epoch in wrong:
            purifier.index_at(epoch).write(index)
    return [f"index of epoch {epoch}" for epoch in wrong]
