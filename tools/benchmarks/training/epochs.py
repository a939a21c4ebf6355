"""`epochs`: how long an epoch takes when clips are pruned, ours and by loss as InfoBatch does it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.purify import publish_index
from sciu.pipeline.train.run.run import Run
from sciu.purification import EpochIndex
from sciu.tools.benchmarks.measure import json_file, median_and_spread, write_measured
from sciu.tools.benchmarks.peers.book import ReferenceTrainer, mean
from sciu.tools.benchmarks.peers.infobatch import InfoBatch
from sciu.tools.benchmarks.peers.known import usual
from sciu.tools.benchmarks.training.train import open_run, training
from sciu.tools.command import print_table
from sciu.tools.command.backbone import backbone_option

Timed = Callable[[int], tuple[float, int]]
"""(the epoch's number) -> its seconds, and how many clips it had."""


@click.command()
@backbone_option
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Train on this dataset.")
@click.option("--batch-size", type=click.IntRange(min=1), default=32, help="Put this many clips in a batch.")
@click.option("--size", type=click.IntRange(min=1), help="Scale frames to this size.  [default: the network's]")
@click.option(
    "--pruned", multiple=True, type=click.FloatRange(0, 0.9), default=(0.2, 0.44, 0.6), help="Prune this share."
)
@click.option("--rounds", type=click.IntRange(min=1), default=3, help="Measure this many rounds.")
@json_file
def epochs(
    backbone: str, data: Path, batch_size: int, size: int | None, pruned: tuple[float, ...], rounds: int,
    out: Path | None,
) -> None:  # fmt: skip
    """Train whole and pruned epochs in turn, nothing cached; beside them InfoBatch in a trainer by the book.

    Example: python tools/bench.py epochs --data data/synth --backbone tiny_lstm
    """
    dataset, device = Dataset.load(data), torch.device("cuda" if torch.cuda.is_available() else "cpu")
    settings = {"backbone": backbone, "batch_size": batch_size, "size": size or 0, "crop": "shifted", "cache": "off"}
    with ExitStack() as stack:
        run = open_run(settings, data, device, stack)
        contestants: dict[tuple[str, str], Timed] = {
            (f"sciu, {share:.0%} pruned", "ours"): _ours(run, share) for share in sorted({0.0, *pruned})
        }
        contestants |= _by_loss(run, backbone, device)
        rows = _measure(contestants, len(dataset.ids("train")), rounds)
    ratios = {f"{row['name']}/{row['whole']}": row["share"] for row in rows if row["name"] != row["whole"]}
    table = [
        [row["name"], *(f"{row[key]:{form}}" for key, form in
                        (("seconds", ".3f"), ("spread", ".0%"), ("pruned", ".0%"), ("share", ".3f")))]
        for row in rows
    ]  # fmt: skip
    print_table(["epoch", "seconds", "spread", "pruned", "of the whole epoch"], table)
    write_measured(out, {**settings, "data": str(data), "device": str(device)}, rows=rows, ratios=ratios)


def _ours(run: Run, share: float) -> Timed:
    kept = spread_out(run.dataset, share)
    epoch = training(run, replace(publish_index(run.purifier, 1, run.folder), ids=kept))

    def timed(number: int) -> tuple[float, int]:
        began = time.perf_counter()
        epoch(number)
        return time.perf_counter() - began, len(kept)

    return timed


def spread_out(dataset: Dataset, pruned: float) -> NDArray[np.int64]:
    """Return the clips that are left, from all over the dataset, so that no class is lost."""
    ids = dataset.ids("train")
    return ids[np.linspace(0, len(ids) - 1, round(len(ids) * (1 - pruned))).astype(int)]


def _by_loss(run: Run, backbone: str, device: torch.device) -> dict[tuple[str, str], Timed]:
    """Return whole epochs of a trainer by the book, and those of its twin that prunes by loss."""
    ids = run.dataset.ids("train")
    infobatch = InfoBatch(ids)
    name, clips = usual(run.planner)
    plain, pruning = (ReferenceTrainer(clips, backbone, device) for _ in range(2))

    def timed(trainer: ReferenceTrainer, draw: Callable[[], Any], weigh: Any, number: int) -> tuple[float, int]:
        began, chosen = time.perf_counter(), draw()
        trainer.train_epoch(run.planner.training(EpochIndex.given(chosen, run.dataset.labels, number)), weigh)
        return time.perf_counter() - began, len(chosen)

    return {
        (f"by the book, {name}", "reference"): partial(timed, plain, lambda: ids, mean),
        (f"by the book, {name}, InfoBatch", "reference"): partial(timed, pruning, infobatch.draw, infobatch.weigh),
    }


def _measure(contestants: dict[tuple[str, str], Timed], clips: int, rounds: int) -> list[dict[str, Any]]:
    """Train an epoch each in turn, after one that is not counted; compare with the first of the group, a whole one."""
    found: dict[tuple[str, str], list[tuple[float, int]]] = {key: [] for key in contestants}
    for number in range(rounds + 1):
        for key, timed in contestants.items():
            measured = timed(number + 1)
            if number:
                found[key].append(measured)
    rows: list[dict[str, Any]] = []
    for (name, group), measured_rounds in found.items():
        seconds, left = zip(*measured_rounds, strict=True)
        median, spread = median_and_spread([*seconds])
        alone: dict[str, Any] = {"name": name, "seconds": median}
        whole = next((row for row in rows if row["group"] == group), alone)
        rows.append({
            "name": name, "group": group, "seconds": median, "spread": spread, "pruned": 1 - np.mean(left) / clips,
            "whole": whole["name"], "share": median / whole["seconds"],
        })  # fmt: skip
    return rows
