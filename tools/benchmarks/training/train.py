"""`train`: epochs of training, ours beside the same trainer without decoding and beside a usual one."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.config.resolve import resolve
from sciu.pipeline.train.evaluation.evaluate import Progress
from sciu.pipeline.train.job.ranks import Ranks
from sciu.pipeline.train.job.stopping import Stop
from sciu.pipeline.train.loop import learn
from sciu.pipeline.train.purify import publish_index
from sciu.pipeline.train.record.run_state import RunState
from sciu.pipeline.train.run.run import Run, RunRequest, opened
from sciu.pipeline.train.step.throughput import Throughput
from sciu.purification import EpochIndex
from sciu.tools.benchmarks.measure import json_file, median_and_spread, write_measured
from sciu.tools.benchmarks.peers.book import ReferenceTrainer
from sciu.tools.benchmarks.peers.known import usual
from sciu.tools.command import print_table
from sciu.tools.command.backbone import backbone_option

Epoch = Callable[[int], tuple[float, float | None]]
"""(its number) -> clips a second, and the share of the time that was spent waiting for data, where it is known."""


@click.command()
@backbone_option
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Train on this dataset.")
@click.option("--batch-size", type=click.IntRange(min=1), default=32, help="Put this many clips in a batch.")
@click.option("--size", type=click.IntRange(min=1), help="Scale frames to this size.  [default: the network's]")
@click.option("--rounds", type=click.IntRange(min=1), default=5, help="Measure this many rounds.")
@json_file
def train(backbone: str, data: Path, batch_size: int, size: int | None, rounds: int, out: Path | None) -> None:
    """Train an epoch in every way, in turn: from files, from the cache, without decoding, with a usual trainer.

    Example: python tools/bench.py train --data data/synth --backbone tiny_lstm --batch-size 32
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dataset = Dataset.load(data)
    common = {"backbone": backbone, "batch_size": batch_size, "size": size or 0, "crop": "shifted"}
    with ExitStack() as stack:
        files = open_run({**common, "cache": "off"}, data, device, stack)
        contestants: dict[tuple[str, str], Epoch] = {
            ("sciu, DALI", "ours"): training(files),
            ("sciu, host cache", "cached"): training(open_run({**common, "cache": "64G"}, data, device, stack)),
            ("sciu, no decoding", "ceiling"): training(
                open_run({**common, "pipeline": "synthetic"}, data, device, stack)
            ),
            ("feed alone, DALI", "feed"): _feeding(files),
        }
        if device.type == "cuda":
            on_device = open_run({**common, "cache": "auto"}, data, device, stack)
            contestants["sciu, device cache", "device"] = training(on_device)
        name, clips = usual(files.planner)
        trainer = ReferenceTrainer(clips, backbone, device)
        contestants[f"trainer by the book, {name}", "reference"] = _by_the_book(trainer, files)
        rows = _measure(contestants, rounds)
    ratios = _ratios(rows)
    table = [
        [row["name"], row["group"], f"{row['clips_per_second']:.1f}", f"{row['spread']:.0%}", _percent(row["waiting"])]
        for row in rows
    ]
    print_table(["name", "group", "clips/s", "spread", "waiting"], table)
    for name, ratio in ratios.items():
        click.echo(f"{name}: {ratio:.3f}")
    settings = {**common, "data": str(data), "clips": len(dataset.ids("train")), "device": str(device)}
    write_measured(out, settings, rows=rows, ratios=ratios)


def open_run(
    settings: dict[str, Any],
    data: Path,
    device: torch.device,
    stack: ExitStack,
    progress: Callable[[str], Progress] = lambda _label: lambda _done, _total, _note: None,
) -> Run:
    """Start a run in a temporary folder."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    request = RunRequest(
        data=data, out=folder / "run", resolved=resolve([("bench", settings)]), say=lambda _line: None,
        progress=progress,
    )  # fmt: skip
    return stack.enter_context(opened(request, device, Ranks(), Stop()))


def training(run: Run, index: EpochIndex | None = None, *, give_way: bool = True) -> Epoch:
    """Train with the trainer's own loop, on all clips or on those of an index."""
    index = index or publish_index(run.purifier, 1, run.folder)

    def epoch(number: int) -> tuple[float, float]:
        throughput = Throughput(run.step.threads if give_way else None)
        learn(run, RunState(epoch=number), replace(index, epoch=number), throughput)
        return throughput.clips / throughput.seconds, throughput.waiting / throughput.seconds

    return epoch


def _feeding(run: Run) -> Epoch:
    index = publish_index(run.purifier, 1, run.folder)

    def epoch(number: int) -> tuple[float, float | None]:
        began = time.perf_counter()
        plan = run.planner.training(replace(index, epoch=number))
        clips = sum(len(batch) for batch in run.feed.batches(plan))
        return clips / (time.perf_counter() - began), None

    return epoch


def _by_the_book(trainer: ReferenceTrainer, run: Run) -> Epoch:
    index = publish_index(run.purifier, 1, run.folder)

    def epoch(number: int) -> tuple[float, float | None]:
        began = time.perf_counter()
        clips = trainer.train_epoch(run.planner.training(replace(index, epoch=number)))
        return clips / (time.perf_counter() - began), None

    return epoch


def _measure(contestants: dict[tuple[str, str], Epoch], rounds: int) -> list[dict[str, Any]]:
    """Train an epoch each in turn, after one that is not counted: it fills caches and starts processes."""
    found: dict[tuple[str, str], list[tuple[float, float | None]]] = {key: [] for key in contestants}
    for number in range(rounds + 1):
        for key, epoch in contestants.items():
            measured = epoch(number + 1)
            if number:
                found[key].append(measured)
    rows = []
    for (name, group), measured_rounds in found.items():
        rates, waits = zip(*measured_rounds, strict=True)
        median, spread = median_and_spread(list(rates))
        waiting = None if None in waits else statistics.median(waits)
        rows.append({"name": name, "group": group, "clips_per_second": median, "spread": spread, "waiting": waiting})
    return rows


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _ratios(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return ratios; `in turn` adds up decoding and training, the limit where the same cores do both."""
    best = {row["group"]: max(r["clips_per_second"] for r in rows if r["group"] == row["group"]) for row in rows}
    in_turn = 1 / (1 / best["ceiling"] + 1 / best["feed"])
    return {
        "ours/ceiling": best["ours"] / best["ceiling"],
        "ours/in turn": best["ours"] / in_turn,
        "cached/ceiling": best["cached"] / best["ceiling"],
        "ours/reference": best["ours"] / best["reference"],
        "cached/reference": best["cached"] / best["reference"],
    }
