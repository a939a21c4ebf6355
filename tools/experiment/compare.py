"""`compare`: runs side by side, what purification found and gained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sciu.tools.command import json_option, print_json, print_table

if TYPE_CHECKING:
    from sciu.pipeline.train.report.summary import Summary


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def compare(runs: tuple[Path, ...], as_json: bool) -> None:
    """Show the summaries of runs side by side; where the truth is known, also what was found of it.

    Example: sciu-experiment compare runs/plain runs/sciu
    """
    from sciu.pipeline.train.record.run_folder import RunFolder
    from sciu.pipeline.train.report.summary import Summary

    summaries = {str(run): Summary.load(RunFolder(run)) for run in runs}
    if as_json:
        print_json({run: summary.to_json() for run, summary in summaries.items()})
        return
    print_table(["", *(run.name for run in runs)], shown([*summaries.values()]))


def shown(summaries: Sequence[Summary]) -> list[list[str]]:
    """Return the rows of the table, each with a cell of every run."""
    return [[name, *map(read, summaries)] for name, read in _ROWS.items()]


def _percent(value: Any) -> str:
    return f"{value:.1%}" if isinstance(value, int | float) else "-"


def _found(summary: Summary, what: str) -> str:
    scores = (summary.detection or {}).get(what)
    return (
        f"{_percent(scores.get('precision'))} / {_percent(scores.get('recall'))}" if isinstance(scores, dict) else "-"
    )


_ROWS: dict[str, Callable[[Summary], str]] = {
    "method": lambda s: s.method,
    "WAR, last epoch": lambda s: _percent(s.war),
    "UAR, last epoch": lambda s: _percent(s.uar),
    "clips to train on": lambda s: f"{s.train_clips:,}",
    "pruned": lambda s: f"{s.pruned:,}",
    "labels corrected": lambda s: f"{s.corrected:,}",
    "unusable clips found: precision / recall": lambda s: _found(s, "low_quality"),
    "wrong labels found: precision / recall": lambda s: _found(s, "wrong_label"),
    "labels right, as given": lambda s: _percent((s.detection or {}).get("label_accuracy_before")),
    "labels right, of those trained on at the end": lambda s: _percent((s.detection or {}).get("label_accuracy_after")),
    "clips decoded or taken from the cache, last epoch": lambda s: f"{s.clips_per_epoch[-1]:,}",
    "clips a second": lambda s: f"{s.clips_per_second:,.0f}",
}
