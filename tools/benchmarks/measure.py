"""Contestants in turn, round after round: a machine whose speed drifts treats all alike. Medians, spread, ratios."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from sciu.tools.command import print_table

json_file = click.option("--json", "out", type=click.Path(path_type=Path), help="Write the measurements to this file.")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing measured."""

    name: str
    group: str  # ours, or what it is compared with
    seconds: float  # the median
    spread: float  # (largest - smallest) / median


def measure(contestants: dict[tuple[str, str], Callable[[], float]], rounds: int) -> list[Row]:
    """Let the contestants run in turn, round after round; each returns its own seconds."""
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in contestants}
    for _ in range(rounds):
        for key, run in contestants.items():
            seconds[key].append(run())
    rows = []
    for (name, group), times in seconds.items():
        median, spread = median_and_spread(times)
        rows.append(Row(name=name, group=group, seconds=median, spread=spread))
    return rows


def report(rows: list[Row], out: Path | None, **settings: Any) -> None:
    """Print the rows and the ratio of every other group's time to ours; write all of it as JSON where wanted."""
    ours = next(row for row in rows if row.group == "ours")
    ratios = {f"{row.group}/ours": row.seconds / ours.seconds for row in rows if row.group != "ours"}
    table = [[row.name, row.group, f"{row.seconds:.3f}", f"{row.spread:.0%}"] for row in rows]
    print_table(["name", "group", "seconds", "spread"], table)
    for name, ratio in ratios.items():
        click.echo(f"{name}: {ratio:.1f}")
    write_measured(out, settings, rows=[asdict(row) for row in rows], ratios=ratios)


def write_measured(out: Path | None, settings: dict[str, Any], **measured: Any) -> None:
    """Write what was measured, on what and how, as JSON where wanted."""
    if out:
        out.write_text(json.dumps({"environment": environment(), "settings": settings, **measured}, indent=2) + "\n")


def median_and_spread(values: list[float]) -> tuple[float, float]:
    """Return the median, and (largest - smallest) / median."""
    median = statistics.median(values)
    return median, (max(values) - min(values)) / median


def environment() -> dict[str, Any]:
    """Name the machine and the versions that numbers depend on."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ": unknown")
    return {
        "cpu": cpu.split(":")[1].strip(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("sciu", "numpy", "pyarrow", "torch")},
    }
