"""`startup`: how long commands take to answer, and a training to take its first step, in cold processes."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.table import Categories, ClipTable
from sciu.tools.benchmarks.measure import json_file, measure, report
from sciu.tools.command.backbone import backbone_option

_TIMED = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, capture_output=True)
seconds = time.perf_counter() - began
if done.returncode:
    sys.exit(done.stderr.decode(errors="replace"))
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024]))
"""


@click.command()
@backbone_option
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Train on clips of this dataset.")
@click.option("--clips", type=click.IntRange(min=1), default=40_000, help="Repeat its clips to so many.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, help="Measure this many rounds.")
@json_file
def startup(backbone: str, data: Path, clips: int, rounds: int, out: Path | None) -> None:
    """Start commands in new processes, in turn: help, the imports alone, and a training up to its first step.

    Example: python tools/bench.py startup --data data/synth --backbone tiny_lstm
    """
    with tempfile.TemporaryDirectory(prefix="sciu-startup-") as folder:
        large = Path(folder) / "large"
        large.mkdir()
        repeated(Dataset.load(data), clips, large).save()
        train = (sys.executable, "-m", "sciu.tools", "train")
        commands: dict[tuple[str, str], Sequence[str]] = {
            (f"sciu-train, {clips:,} clips, to the end of its first step", "ours"):
                (*train, str(large), "--dry-run", "--backbone", backbone),
            ("sciu-train --help", "help"): (*train, "--help"),
            ("import torch, torchvision, nvidia.dali", "imports"):
                (sys.executable, "-c", "import torch, torchvision, nvidia.dali"),
            ("python -c pass", "python"): (sys.executable, "-c", "pass"),
        }  # fmt: skip
        memory: dict[str, list[float]] = {name: [] for name, _ in commands}
        rows = measure({key: partial(_seconds, words, memory[key[0]]) for key, words in commands.items()}, rounds)
    rows = [replace(row, megabytes=statistics.median(memory[row.name])) for row in rows]
    report(rows, out, data=str(data), clips=clips, backbone=backbone)


def repeated(dataset: Dataset, clips: int, folder: Path) -> Dataset:
    """Return a dataset in which the clips of another come again and again; their files exist."""
    source = np.arange(clips) % len(dataset)
    columns = {field.name: getattr(dataset.clips, field.name) for field in fields(ClipTable)}
    table = ClipTable(**{name: _some(column, source) for name, column in columns.items()})
    names = [f"{number}/{name}" for number, name in enumerate(table.name)]
    return Dataset(
        folder=folder, name="repeated", classes=dataset.classes, root=str(dataset.media.absolute()),
        clips=table.replace(name=names),
    )  # fmt: skip


def _some(column: Any, clips: Any) -> Any:
    if isinstance(column, Categories):
        return column.some(clips)
    if isinstance(column, tuple):
        return tuple(fold.some(clips) for fold in column)
    return column[clips] if isinstance(column, np.ndarray) else [column[clip] for clip in clips.tolist()]


def _seconds(command: Sequence[str], memory: list[float]) -> float:
    """Run a command, and note its peak of memory, in MB, as its parent alone can know it."""
    words = [sys.executable, "-c", _TIMED, *command]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True)  # noqa: S603 - our own
    seconds, megabytes = json.loads(done.stdout)
    memory.append(megabytes)
    return float(seconds)
