"""Runs as rows of a table: what each is, and what came of it. Read without torch: fifty take a second."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sciu.pipeline.errors import first_line
from sciu.tools.command import duration, print_table, say

Row = dict[str, Any]
_Read = TypeVar("_Read")

_SHOWN = {
    "run": "run", "method": "method", "backbone": "backbone", "seed": "seed", "fold": "fold", "epochs_done": "epochs",
    "war": "WAR", "uar": "UAR", "best_epoch": "best epoch", "war_best": "its WAR", "uar_best": "its UAR",
    "pruned": "pruned", "corrected": "corrected", "clips_per_second": "clips/s", "hours": "time",
}  # fmt: skip
"""The columns that a terminal has room for, and their headings; CSV and JSON have all."""
_RESULTS = (
    "epochs_done", "ended", "war", "uar", "best_epoch", "best_chosen_on", "war_best", "uar_best", "train_clips",
    "pruned", "corrected", "quarantined", "clips_per_second", "device",
)  # fmt: skip


def readable(runs: Sequence[Path], read: Callable[[Path], _Read]) -> dict[Path, _Read]:
    """Read runs: one that cannot be, or is none, costs a line on stderr; if all are so, the first error is raised."""
    found: dict[Path, _Read] = {}
    faults: list[Exception] = []
    for run in runs:
        try:
            found[run] = read(run)
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError) and not hasattr(error, "exit_code"):  # a bug of ours
                raise
            faults.append(error)
    if not found:
        raise faults[0]
    for fault in faults:
        say(f"Warning: left out: {first_line(fault)}")
    return found


def compared(runs: Sequence[Path]) -> list[Row]:
    """Return a row for each run."""
    rows = readable(runs, _row)
    if len({row["fingerprint"] for row in rows.values()}) > 1:
        say("the runs are of different datasets, so a difference may be that of the clips")
    return [*rows.values()]


def _row(folder: Path) -> Row:
    """Read a run; what an unfinished one has not come to is empty."""
    from sciu.pipeline.train.record.run_folder import RunFolder
    from sciu.pipeline.train.report.summary import Summary

    run = RunFolder(folder)
    card = run.require()
    summary = Summary.load(run) if run.summary.exists() else None
    settings = card.settings
    return {
        "run": str(folder), "method": settings.method, "backbone": settings.backbone, "dataset": card.dataset.name,
        "seed": settings.seed, "fold": settings.fold, "epochs": settings.epochs,
        **{name: _finite(getattr(summary, name, None)) for name in _RESULTS},
        "epochs_done": summary.epochs_done if summary else 0,
        "hours": round(summary.total_seconds / 3600, 4) if summary else None,
        "created": card.store, "version": card.version, "fingerprint": card.dataset.fingerprint,
    }  # fmt: skip


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def show(rows: Sequence[Row]) -> None:
    """Print the rows for people."""
    print_table([*_SHOWN.values()], [[_cell(name, row) for name in _SHOWN] for row in rows])


def _cell(name: str, row: Row) -> object:
    value = row[name]
    if name == "epochs_done" and value < row["epochs"]:
        return f"{value:,} of {row['epochs']:,}"
    if not isinstance(value, float):
        return value
    if name == "hours":
        return duration(3600 * value)
    return f"{value:.1%}" if "war" in name or "uar" in name else f"{value:,.1f}"
