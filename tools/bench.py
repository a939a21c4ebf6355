"""`python tools/bench.py`: measurements side by side in one run, as ratios, with the machine they were made on.

Rounds are interleaved, so that a machine whose speed drifts treats all alike; medians are reported, and their spread.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.table import KINDS, SPLITS, Categories, ClipTable
from sciu.tools.command import Group, print_table


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing measured."""

    name: str
    group: str  # ours, or what it is compared with
    seconds: float  # the median
    spread: float  # (largest - smallest) / median


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Measure, side by side."""


_JSON = click.option("--json", "out", type=click.Path(path_type=Path), help="Write the measurements to this file.")


@main.command()
@click.option("--clips", type=int, default=1_000_000)
@click.option("--rounds", type=int, default=5)
@_JSON
def dataset(clips: int, rounds: int, out: Path | None) -> None:
    """Load the table of a large dataset: ours, and Python's csv module reading the same columns.

    Each round is a process of its own, its start and imports not counted.

    Example: python tools/bench.py dataset --clips 1000000
    """
    with tempfile.TemporaryDirectory() as folder:
        large = _large_dataset(Path(folder), clips)
        large.save()
        _write_csv(large, Path(folder) / "clips.csv")
        rows = measure(
            {
                ("Dataset.load", "ours"): lambda: _in_a_process("_load_ours", folder),
                ("csv.reader", "usual"): lambda: _in_a_process("_load_csv", folder),
            },
            rounds,
        )
    report(rows, out, clips=clips)


def measure(contestants: dict[tuple[str, str], Callable[[], float]], rounds: int) -> list[Row]:
    """Let the contestants run in turn, round after round; each returns its own seconds."""
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in contestants}
    for _ in range(rounds):
        for key, run in contestants.items():
            seconds[key].append(run())
    rows = []
    for (name, group), times in seconds.items():
        median = statistics.median(times)
        rows.append(Row(name=name, group=group, seconds=median, spread=(max(times) - min(times)) / median))
    return rows


def report(rows: list[Row], out: Path | None, **settings: Any) -> None:
    """Print the rows and the ratio of every other group's time to ours; write all of it as JSON where wanted."""
    ours = next(row for row in rows if row.group == "ours")
    ratios = {f"{row.group}/ours": row.seconds / ours.seconds for row in rows if row.group != "ours"}
    table = [[row.name, row.group, f"{row.seconds:.3f}", f"{row.spread:.0%}"] for row in rows]
    print_table(["name", "group", "seconds", "spread"], table)
    for name, ratio in ratios.items():
        click.echo(f"{name}: {ratio:.1f}")
    if out:
        measured = {"rows": [asdict(row) for row in rows], "ratios": ratios}
        out.write_text(json.dumps({"environment": environment(), "settings": settings, **measured}, indent=2) + "\n")


def environment() -> dict[str, Any]:
    """Name the machine and the versions that numbers depend on."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ": unknown")
    return {
        "cpu": cpu.split(":")[1].strip(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("sciu", "numpy", "pyarrow", "torch")},
    }


# ---- dataset


def _large_dataset(folder: Path, clips: int) -> Dataset:
    """Make a dataset of five folds and names as DFEW has them."""
    rng = np.random.default_rng(0)
    classes = ("Happy", "Sad", "Neutral", "Angry", "Surprise", "Disgust", "Fear")
    numbers = {name: rng.integers(1, 300, clips).astype(np.int32) for name in ("frames", "width", "height")}

    def some(names: tuple[str, ...]) -> Categories:
        return Categories(rng.integers(0, len(names), clips).astype(np.int32), names)

    nothing = Categories(np.full(clips, -1, np.int32), ())
    paths = [f"Clip/clip_224x224/{clip:07d}" for clip in range(clips)]
    table = ClipTable(
        name=paths, path=paths, kind=some(KINDS), **numbers,
        codec=some(("jpeg",)), label=some(classes), folds=tuple(some(SPLITS[:2]) for _ in range(5)),
        group=some(tuple(f"scene {k:02d}" for k in range(22))), quarantine=nothing,
    )  # fmt: skip
    return Dataset(folder=folder, name="large", classes=classes, root=str(folder), clips=table)


def _write_csv(dataset: Dataset, path: Path) -> None:
    clips = dataset.clips
    names = [clips.kind, clips.codec, clips.label, *clips.folds, clips.group, clips.quarantine]
    texts = [[(*column.names, "")[code] for code in column.codes] for column in names]
    with path.open("w", newline="") as file:
        rows = zip(clips.path, clips.frames.tolist(), clips.width.tolist(), clips.height.tolist(), *texts, strict=True)
        csv.writer(file).writerows(rows)


def _in_a_process(function: str, folder: str) -> float:
    code = f"from sciu.tools import bench; print(bench.{function}({folder!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own
    return float(done.stdout)


def _load_ours(folder: str) -> float:
    began = time.perf_counter()
    assert len(Dataset.load(folder).labels)
    return time.perf_counter() - began


def _load_csv(folder: str) -> float:
    began = time.perf_counter()
    with Path(folder, "clips.csv").open(newline="") as file:
        columns = list(zip(*csv.reader(file), strict=True))
    assert [int(frames) for frames in columns[1]]
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
