"""`compare`: runs side by side, what purification found and gained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from sciu.tools.command import json_option, print_json, print_table


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def compare(runs: tuple[Path, ...], as_json: bool) -> None:
    """Show the summaries of runs side by side; where the truth is known, also what was found of it.

    Example: sciu-experiment compare runs/plain runs/sciu
    """
    summaries = {str(run): _summary(run) for run in runs}
    if as_json:
        print_json(summaries)
        return
    print_table(
        ["", *(run.name for run in runs)], [[name, *map(read, summaries.values())] for name, read in _ROWS.items()]
    )


def _summary(run: Path) -> dict[str, Any]:
    from sciu.pipeline.train.errors import RunError

    try:
        summary: dict[str, Any] = json.loads((run / "summary.json").read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"'{run}' must be a run with a finished epoch, but has no summary.json.") from None
    return summary


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _found(summary: dict[str, Any], what: str) -> str:
    if not (scores := summary.get("detection", {}).get(what)):
        return "-"
    return f"{_percent(scores['precision'])} / {_percent(scores['recall'])}"


_ROWS: dict[str, Any] = {
    "method": lambda s: s["method"],
    "WAR, last epoch": lambda s: _percent(s["war"]),
    "UAR, last epoch": lambda s: _percent(s["uar"]),
    "clips to train on": lambda s: f"{s['train_clips']:,}",
    "pruned": lambda s: f"{s['pruned']:,}",
    "labels corrected": lambda s: f"{s['corrected']:,}",
    "unusable clips found: precision / recall": lambda s: _found(s, "low_quality"),
    "wrong labels found: precision / recall": lambda s: _found(s, "wrong_label"),
    "labels right, as given": lambda s: _percent(s.get("detection", {}).get("label_accuracy_before")),
    "labels right, of those trained on at the end": lambda s: _percent(
        s.get("detection", {}).get("label_accuracy_after")
    ),
    "clips decoded or taken from the cache, last epoch": lambda s: f"{s['clips_per_epoch'][-1]:,}",
    "clips a second": lambda s: f"{s['clips_per_second']:,.0f}",
}
