"""`feed`: clips a second of ours, of every peer that is installed here, tuned and as usual, and of the codec alone."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.feed.dali_feed import DaliFeed
from sciu.pipeline.feed.feed import Feed
from sciu.pipeline.feed.memory.buffers import Buffers
from sciu.pipeline.feed.memory.cache import Cache
from sciu.pipeline.feed.pixels.threads import single_threaded_pool
from sciu.pipeline.feed.plan.augmentation import CROPS, Augmentation
from sciu.pipeline.feed.plan.plan import Plan, Planner
from sciu.pipeline.feed.torch_feed import TorchFeed
from sciu.pipeline.train.step.throughput import Throughput
from sciu.purification.index import EpochIndex
from sciu.tools.benchmarks.measure import json_file, median_and_spread, write_measured
from sciu.tools.benchmarks.peers import codec, known
from sciu.tools.benchmarks.peers.clips import Clips, usual_batches
from sciu.tools.benchmarks.peers.known import Loader
from sciu.tools.benchmarks.product import wait
from sciu.tools.command import print_table

_PRUNED = 0.44
_BATCHES_IN_FLIGHT = 3  # as many as the cached feed has, so that both write to memory that no core's cache holds

Run = Callable[[Plan], int]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way to read the clips."""

    name: str
    group: str
    clips_per_second: float  # the median of the rounds
    spread: float  # (largest - smallest) / median


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Read this dataset.")
@click.option("--batch-size", type=click.IntRange(min=1), default=16, help="Put this many clips in a batch.")
@click.option("--size", type=click.IntRange(min=1), default=112, help="Scale frames to this size.")
@click.option("--crop", type=click.Choice(list(CROPS)), default="shifted", help="Choose how frames are cropped.")
@click.option("--flip", type=click.FloatRange(0, 1), default=0.5, help="Mirror a clip with this probability.")
@click.option("--seconds", type=click.FloatRange(min=0), default=5.0, help="Measure each contestant at least so long.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, help="Measure this many rounds.")
@json_file
def feed(
    data: Path, batch_size: int, size: int, crop: str, flip: float, seconds: float, rounds: int, out: Path | None
) -> None:
    """Read the same clips, frames and crops in every way that is installed here, in turn.

    Example: python tools/bench.py feed --data data/synth --batch-size 16
    """
    dataset = Dataset.load(data)
    planner = Planner(
        dataset=dataset, size=size, batch_size=batch_size, augmentation=Augmentation(crop=crop, flip=flip)
    )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with ExitStack() as stack:
        ours = stack.enter_context(DaliFeed(dataset=dataset, device=device))
        contestants = _contestants(planner, ours, stack)
        rows = _measure(contestants, planner, seconds, rounds)
        epochs = _measure_epochs(ours, planner, rounds)
    ratios = _ratios(rows, epochs, len(dataset.ids("train")))
    absent = [*known.missing(dataset), *codec.missing(dataset)]
    _report(rows, epochs, ratios, absent)
    settings = {"data": str(data), "batch_size": batch_size, "size": size, "crop": crop, "flip": flip}
    more = {"epoch_seconds": epochs, "missing": absent}
    write_measured(out, settings, rows=[asdict(row) for row in rows], ratios=ratios, **more)


def _contestants(planner: Planner, ours: Feed, stack: ExitStack) -> dict[tuple[str, str], Run]:
    dataset, device = planner.dataset, ours.device
    torch_feed = stack.enter_context(TorchFeed(dataset=dataset, device=device, size=planner.size))
    cached = DaliFeed(dataset=dataset, device=device, cache=Cache(64 << 30))
    stack.callback(cached.close)
    copy = _Copy(cached)
    stack.callback(copy.close)
    found: dict[tuple[str, str], Run] = {
        ("sciu, DALI", "ours"): lambda plan: _deliver(ours, plan),
        ("sciu, --pipeline torch", "tuned"): lambda plan: _deliver(torch_feed, plan),
        ("sciu, host cache", "cached"): lambda plan: _deliver(cached, plan),
        ("memory copy by one core", "copy"): copy.run,
    }
    if device.type == "cuda":
        arena = DaliFeed(dataset=dataset, device=device, cache=Cache(64 << 30, "cuda"))
        stack.callback(arena.close)
        found["sciu, device cache", "device"] = lambda plan: _deliver(arena, plan)
    if not codec.missing(dataset):
        alone = codec.CodecAlone(dataset)
        stack.callback(alone.close)
        found[f"{codec.library(dataset)} alone, in memory", "limit"] = alone.run
    for name, loader in known.tuned(planner):
        stack.callback(loader.close)
        found[name, "tuned"] = partial(_load, loader, device)
    name, clips = known.usual(planner)
    found[f"DataLoader, {name}, usual", "usual"] = partial(_load_as_usual, clips, device)
    return found


def _load(loader: Loader, device: torch.device, plan: Plan) -> int:
    clips = sum(len(pixels.to(device, non_blocking=True)) for pixels, _ids in loader.batches(plan))
    wait(device)
    return clips


def _load_as_usual(clips: Clips, device: torch.device, plan: Plan) -> int:
    loaded = sum(len(pixels.to(device)) for pixels, _ids in usual_batches(clips, plan))
    wait(device)
    return loaded


def _deliver(feed: Feed, plan: Plan) -> int:
    """Read an epoch, the host two batches ahead of the device as in training, and wait for the last one."""
    clips = sum(len(batch) for batch in Throughput().timed(feed.batches(plan)))
    wait(feed.device)
    return clips


class _Copy:
    """One core that copies as many bytes as a plan's clips have, from a feed's cache into batches' memory."""

    def __init__(self, feed: DaliFeed) -> None:
        self._feed, self._buffers = feed, Buffers()
        self._core = single_threaded_pool(1, "sciu-copy")

    def run(self, plan: Plan) -> int:
        """Copy an epoch; return the number of clips."""
        return self._core.submit(self._copy, plan).result()

    def close(self) -> None:
        """End the thread."""
        self._core.shutdown()

    def _copy(self, plan: Plan) -> int:
        in_flight: deque[Tensor] = deque(maxlen=_BATCHES_IN_FLIGHT)
        for number in range(plan.steps):
            samples = plan.step(number)
            in_flight.append(self._buffers.take((len(samples), samples.numbers.shape[1] * plan.size**2 * 3)))
            for clip, row in zip(samples.ids.tolist(), in_flight[-1], strict=True):
                kept = self._feed.cache.get(clip)
                assert kept is not None
                source = kept.view(-1)[: len(row)]
                row[: len(source)].copy_(source)
        return len(plan.ids)


def _plans(planner: Planner) -> Iterator[Plan]:
    ids = planner.dataset.ids("train")
    for epoch in range(1, 100_000):
        yield planner.training(EpochIndex.given(ids, planner.dataset.labels, epoch))


def _measure(contestants: dict[tuple[str, str], Run], planner: Planner, seconds: float, rounds: int) -> list[Row]:
    """Run each for some seconds in turn, after an epoch that is not counted: it fills caches, starts processes."""
    plans = _plans(planner)
    rates: dict[tuple[str, str], list[float]] = {key: [] for key in contestants}
    first = next(plans)
    for run in contestants.values():
        run(first)
    for _ in range(rounds):
        for key, run in contestants.items():
            began, clips = time.perf_counter(), 0
            while not clips or time.perf_counter() - began < seconds:
                clips += run(next(plans))
            rates[key].append(clips / (time.perf_counter() - began))
    return [_row(name, group, found) for (name, group), found in rates.items()]


def _row(name: str, group: str, rates: list[float]) -> Row:
    median, spread = median_and_spread(rates)
    return Row(name=name, group=group, clips_per_second=median, spread=spread)


def _measure_epochs(ours: Feed, planner: Planner, rounds: int) -> dict[str, float]:
    """Time whole epochs, of all clips and with some of them pruned, in turn, and the time to the first batch."""
    dataset, ids = planner.dataset, planner.dataset.ids("train")
    kept = np.sort(np.random.default_rng(0).permutation(ids)[: round(len(ids) * (1 - _PRUNED))])
    seconds: dict[str, list[float]] = {"full": [], "pruned": [], "to the first batch": []}
    for epoch in range(1, rounds + 1):
        for chosen, name in ((ids, "full"), (kept, "pruned")):
            began = time.perf_counter()
            batches = ours.batches(planner.training(EpochIndex.given(chosen, dataset.labels, epoch)))
            next(batches)
            seconds["to the first batch"].append(time.perf_counter() - began)
            for _ in batches:
                pass
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}


def _ratios(rows: list[Row], epochs: dict[str, float], clips: int) -> dict[str, float]:
    """Compare with the best of each group; the time to the first batch with an epoch of 2,000 clips."""
    best = {row.group: max(other.clips_per_second for other in rows if other.group == row.group) for row in rows}
    compared = [("ours", "tuned"), ("ours", "usual"), ("ours", "limit"), ("cached", "ours"), ("cached", "copy")]
    return {
        **{f"{one}/{other}": best[one] / best[other] for one, other in compared if other in best},
        "pruned/full epoch": epochs["pruned"] / epochs["full"],
        "first batch/epoch of 2000": epochs["to the first batch"] / (epochs["full"] * 2000 / clips),
    }


def _report(rows: list[Row], epochs: dict[str, float], ratios: dict[str, float], absent: list[str]) -> None:
    table = [[row.name, row.group, f"{row.clips_per_second:.1f}", f"{row.spread:.0%}"] for row in rows]
    print_table(["name", "group", "clips/s", "spread"], table)
    for name, seconds in epochs.items():
        click.echo(f"epoch, {name}: {seconds:.3f} s")
    for name, ratio in ratios.items():
        click.echo(f"{name}: {ratio:.3f}")
    for name in absent:
        click.echo(f"not measured: {name}")
