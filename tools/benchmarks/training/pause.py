"""`pause`: from an epoch's last step to the next one's first, beside the time to a DataLoader's first batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import torch

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.feed.plan.plan import Plan, Planner
from sciu.pipeline.train.evaluation.evaluate import Progress
from sciu.pipeline.train.loop import train as train_to_the_end
from sciu.pipeline.train.record.run_state import RunState
from sciu.purification import EpochIndex
from sciu.tools.benchmarks.measure import json_file, measured_row, report
from sciu.tools.benchmarks.peers.clips import Batch, TunedLoader, usual_batches
from sciu.tools.benchmarks.peers.known import usual
from sciu.tools.benchmarks.product import wait
from sciu.tools.benchmarks.training.train import open_run
from sciu.tools.command.backbone import backbone_option


@dataclass
class Watch:
    """Record when the epochs of a training end and begin, and the memory of the card in use after each."""

    device: torch.device
    gaps: list[float] = field(default_factory=list)  # seconds from an epoch's last step to the next one's first
    taken: list[int] = field(default_factory=list)  # bytes of the card, after each epoch
    ended: float = 0.0

    def progress(self, label: str) -> Progress:
        """Watch training only, not evaluation."""
        return self._watch if label.startswith("epoch") else lambda _done, _total, _note: None

    def _watch(self, done: int, total: int, _note: str) -> None:
        if done == 1 and self.ended:
            self.gaps.append(time.perf_counter() - self.ended)
        if done == total:
            wait(self.device)
            self.ended = time.perf_counter()
            self.taken.append(memory_taken(self.device))


def memory_taken(device: torch.device) -> int:
    """Return the bytes of the card that are in use."""
    free, total = torch.cuda.mem_get_info(device) if device.type == "cuda" else (0, 0)
    return total - free


@click.command()
@backbone_option
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Train on this dataset.")
@click.option("--batch-size", type=click.IntRange(min=1), default=32, help="Put this many clips in a batch.")
@click.option("--epochs", type=click.IntRange(min=3), default=6, help="Train so many epochs.")
@json_file
def pause(backbone: str, data: Path, batch_size: int, epochs: int, out: Path | None) -> None:
    """Train to the end, evaluated once, and time what lies between epochs: scores, decisions, index, plan, first step.

    The peers' times are less: only from the end of one epoch's reading to the first batch of the next.

    Example: python tools/bench.py pause --data data/synth --backbone tiny_lstm
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    settings = {
        "backbone": backbone, "batch_size": batch_size, "crop": "shifted", "epochs": epochs, "evaluate_every": epochs,
        "warmup": 1, "window": 1,
    }  # fmt: skip
    rows = [
        measured_row(f"sciu, cache {cache}", "ours" if cache == "64G" else "files", gaps)
        for cache in ("64G", "off")
        for gaps in [_gaps({**settings, "cache": cache}, data, device)]
    ]
    dataset = Dataset.load(data)
    name, clips = usual(Planner(dataset=dataset, batch_size=batch_size))
    tuned = TunedLoader(clips)
    ways: dict[str, Callable[[Plan], Iterator[Batch]]] = {
        "usual": lambda plan: usual_batches(clips, plan),
        "tuned": tuned.batches,
    }
    rows += [
        measured_row(f"DataLoader, {name}, {way}, first batch", way, _first_batches(clips.dataset, batches, batch_size))
        for way, batches in ways.items()
    ]
    tuned.close()
    report(rows, out, data=str(data), device=str(device), **settings)


def _gaps(settings: dict[str, Any], data: Path, device: torch.device) -> list[float]:
    watch = Watch(device)
    with ExitStack() as stack:
        train_to_the_end(open_run(settings, data, device, stack, watch.progress), RunState())
    return watch.gaps


def _first_batches(
    dataset: Dataset, batches: Callable[[Plan], Iterator[Batch]], batch_size: int, epochs: int = 4
) -> list[float]:
    """Read a few batches of some epochs; return the seconds to the first one of each but the first."""
    planner, seconds = Planner(dataset=dataset, batch_size=batch_size), list[float]()
    index = EpochIndex.given(dataset.ids("train"), dataset.labels, 1)
    for number in range(epochs):
        began = time.perf_counter()
        source = batches(planner.training(replace(index, epoch=number + 1)))
        next(source)
        seconds.append(time.perf_counter() - began)
        for _ in source:
            pass
    return seconds[1:]
