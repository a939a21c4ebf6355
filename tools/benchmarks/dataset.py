"""`dataset`: how long the table of a large dataset takes to load."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.table import KINDS, SPLITS, Categories, ClipTable
from sciu.tools.benchmarks.measure import json_file, measure, report


@click.command()
@click.option("--clips", type=int, default=1_000_000, help="Give the dataset this many clips.")
@click.option("--rounds", type=int, default=5, help="Measure this many rounds.")
@json_file
def dataset(clips: int, rounds: int, out: Path | None) -> None:
    """Load the table of a large dataset with ours, and the same columns with Python's csv module.

    Each round runs in a new process, whose start and imports are not counted.

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


def _large_dataset(folder: Path, clips: int) -> Dataset:
    """Make a dataset with five folds and with names like DFEW's."""
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
    code = f"from sciu.tools.benchmarks import dataset; print(dataset.{function}({folder!r}))"
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
