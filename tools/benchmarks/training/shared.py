"""`shared`: a training alone and beside processes that keep a core busy, with threads that give way and that do not."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
import torch

from sciu.pipeline.dataset.system.cores import cores
from sciu.tools.benchmarks.measure import json_file, median_and_spread, write_measured
from sciu.tools.benchmarks.training.train import Epoch, open_run, training
from sciu.tools.command import print_table
from sciu.tools.command.backbone import backbone_option

_WAYS = {"sciu": True, "threads that do not give way": False}


@click.command()
@backbone_option
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Train on this dataset.")
@click.option("--batch-size", type=click.IntRange(min=1), default=128, help="Put this many clips in a batch.")
@click.option("--frames", type=click.IntRange(min=1), default=16, help="Take this many frames from each clip.")
@click.option("--busy", multiple=True, type=click.IntRange(0, 64), default=(0, 1, 2, 4), help="Run beside this many.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, help="Measure this many rounds.")
@click.option("--seconds", type=click.FloatRange(min=0), default=2.0, help="Train at least so long, before and then.")
@json_file
def shared(
    backbone: str, data: Path, batch_size: int, frames: int, busy: tuple[int, ...], rounds: int, seconds: float,
    out: Path | None,
) -> None:  # fmt: skip
    """Train on the CPU from the host cache, alone and beside busy processes, in turn.

    Example: python tools/bench.py shared --data data/synth --backbone tiny_lstm
    """
    settings = {"backbone": backbone, "batch_size": batch_size, "frames": frames, "cache": "64G", "device": "cpu"}
    rates: dict[tuple[str, int], list[float]] = {(way, others): [] for others in busy for way in _WAYS}
    with ExitStack() as stack:
        run = open_run(settings, data, torch.device("cpu"), stack)
        most = torch.get_num_threads()
        epochs = {way: training(run, give_way=gives_way) for way, gives_way in _WAYS.items()}
        epochs["sciu"](1)  # fills the cache
        for number in range(rounds):
            for (way, others), found in rates.items():
                torch.set_num_threads(most)
                with _busy(others):
                    _trained(epochs[way], 2 + number, seconds)  # the threads find out that they are not alone
                    found.append(_trained(epochs[way], 2 + number, seconds))
    rows = _rows(rates)
    ratios = {f"{row['name']}/alone": row["share"] for row in rows}
    print_table(["way", "busy processes", "clips/s", "spread", "of alone"], [*map(_printed, rows)])
    write_measured(out, {**settings, "data": str(data), "cores": cores()}, rows=rows, ratios=ratios)


def _trained(epoch: Epoch, number: int, seconds: float) -> float:
    """Train the epoch again and again; return the clips a second of the median one."""
    began, rates = time.perf_counter(), [epoch(number)[0]]
    while time.perf_counter() - began < seconds:
        rates.append(epoch(number)[0])
    return statistics.median(rates)


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Keep this many processes busy."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _rows(rates: dict[tuple[str, int], list[float]]) -> list[dict[str, Any]]:
    """Return the medians, and their shares of the fastest way's with the fewest busy processes."""
    found = {key: median_and_spread(values) for key, values in rates.items()}
    fewest = min(others for _, others in rates)
    alone = max(median for (_, others), (median, _) in found.items() if others == fewest)
    return [
        {
            "name": f"{way}, beside {others}",
            "way": way,
            "busy": others,
            "clips_per_second": median,
            "spread": spread,
            "share": median / alone,
        }
        for (way, others), (median, spread) in found.items()
    ]


def _printed(row: dict[str, Any]) -> list[str]:
    return [
        row["way"],
        str(row["busy"]),
        f"{row['clips_per_second']:.0f}",
        f"{row['spread']:.0%}",
        f"{row['share']:.2f}",
    ]
