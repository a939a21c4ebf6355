"""`train`: the whole trainer from every source of clips, beside itself without decoding and a usual trainer."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch

from sciu.pipeline.train.evaluation.evaluate import Progress
from sciu.pipeline.train.loop import train as train_to_the_end
from sciu.pipeline.train.record.run_state import RunState
from sciu.pipeline.train.run.run import Run
from sciu.purification import EpochIndex
from sciu.tools.benchmarks.gpu.bench import Bench, NotHereError, Row
from sciu.tools.benchmarks.gpu.clock import clocked
from sciu.tools.benchmarks.gpu.stages.feed import gibibytes, planner_of
from sciu.tools.benchmarks.gpu.stages.media import SHORT, WHOLE
from sciu.tools.benchmarks.measure import median_and_spread
from sciu.tools.benchmarks.peers.book import ReferenceTrainer
from sciu.tools.benchmarks.peers.known import usual
from sciu.tools.benchmarks.training.epochs import spread_out
from sciu.tools.benchmarks.training.pause import Watch, memory_taken
from sciu.tools.benchmarks.training.train import Epoch, open_run, training

PRUNED = 0.44
_SETTLED = 5  # epochs after which memory must not grow


def train(bench: Bench) -> None:
    """Train a few epochs in every way."""
    ways: dict[str, dict[str, Any]] = {
        "synthetic": {"pipeline": "synthetic"},
        "device cache": {"cache": "gpu"},
        "host cache": {"cache": "cpu"},
        "files": {"cache": "off"},
    }
    for name, way in ways.items():
        bench.measure(name, partial(_trained, bench, way))
    bench.measure("by the book", partial(_by_the_book, bench))
    bench.measure("44 % pruned", partial(_pruned, bench))
    _measure_epochs(bench)


def _measure_epochs(bench: Bench) -> None:
    """Train to the end: the time between epochs, with and without previews; and many epochs of few clips."""
    sizes, name = bench.sizes, "from epoch to epoch"
    for row, previews in ((name, sizes.previews), (f"{name}, no previews", 0)):
        run = partial(_epochs, bench, fold=WHOLE, epochs=sizes.whole_epochs, previews=previews)
        bench.measure(row, run)
    bench.measure("short epochs", partial(_epochs, bench, fold=SHORT, epochs=sizes.short_epochs, previews=0))


def _open(bench: Bench, stack: ExitStack, **settings: Any) -> Run:
    """Start a run; cache `gpu` or `cpu` keeps every clip there."""
    sizes, dataset = bench.sizes, bench.dataset()
    if settings.get("cache") == "gpu":
        bench.require_gpu("a device cache")
    caches = {"gpu": f"gpu:{gibibytes(dataset)}G", "cpu": f"{gibibytes(dataset)}G"}
    chosen = {
        "method": "sciu", "backbone": sizes.backbones[0], "batch_size": sizes.batches[0], "size": sizes.size,
        "frames": sizes.frames, "amp": bench.amp, **settings,
    }  # fmt: skip
    chosen["cache"] = caches.get(chosen.get("cache", "off"), "off")
    progress: Callable[[str], Progress] = chosen.pop("progress", lambda _label: lambda _done, _total, _note: None)
    return open_run(chosen, dataset.folder, bench.device, stack, progress)


def _trained(bench: Bench, way: dict[str, Any]) -> Row:
    """Train a first epoch, then others until the time is up."""
    with ExitStack() as stack:
        began = time.perf_counter()
        run = _open(bench, stack, **way)
        opened = time.perf_counter() - began
        epoch = training(run)
        first, first_waiting = epoch(1)
        rates, waits = _repeated(bench, epoch)
        reasons = run.feed.reasons
    rate, spread = median_and_spread(rates)
    return {
        "clips_per_second": rate, "spread": spread, "waiting": statistics.median(waits), "first_epoch": first,
        "first_waiting": first_waiting, "seconds_to_open": opened, "reasons": reasons, **_used(bench),
    }  # fmt: skip


def _repeated(bench: Bench, epoch: Epoch) -> tuple[list[float], list[float]]:
    """Return the clips a second and the shares of waiting of some epochs."""
    began, rates, waits = time.perf_counter(), list[float](), list[float]()
    while len(rates) < bench.sizes.rounds or time.perf_counter() - began < bench.sizes.seconds:
        rate, waiting = epoch(len(rates) + 2)
        rates.append(rate)
        waits.append(waiting or 0.0)
    return rates, waits


def _used(bench: Bench) -> Row:
    """Return torch's peak of GPU memory, and all that is in use, DALI's included."""
    if not bench.on_gpu:
        return {}
    return {"peak_GB": torch.cuda.max_memory_reserved(bench.device) / 1e9, "card_GB": memory_taken(bench.device) / 1e9}


def _by_the_book(bench: Bench) -> Row:
    """Train one epoch as the field's codes do, after a few steps that are not counted."""
    dataset = bench.dataset()
    planner, ids = planner_of(bench, dataset, "resized"), dataset.ids("train")
    name, clips = usual(planner)
    trainer = ReferenceTrainer(clips, bench.sizes.backbones[0], bench.device)
    trainer.train_epoch(planner.training(EpochIndex.given(ids[: 4 * bench.sizes.batches[0]], dataset.labels, 1)))
    plan = planner.training(EpochIndex.given(ids, dataset.labels, 2))
    seconds = clocked(lambda: trainer.train_epoch(plan), bench.device)
    return {"clips_per_second": len(ids) / seconds, "reader": name}


def _pruned(bench: Bench) -> Row:
    """Train whole epochs, then pruned ones, all clips cached; not in turn, for pruned clips leave the cache."""
    with ExitStack() as stack:
        run = _open(bench, stack, cache=bench.best_cache)
        kept = spread_out(run.dataset, PRUNED)
        epochs = {"full": training(run), "pruned": training(run, EpochIndex.given(kept, run.dataset.labels, 1))}
        seconds = {}
        for name, epoch in epochs.items():
            epoch(1)
            times = [clocked(partial(epoch, number + 2), bench.device) for number in range(bench.sizes.rounds)]
            seconds[name] = statistics.median(times)
    share = seconds["pruned"] / seconds["full"]
    return {"full_seconds": seconds["full"], "pruned_seconds": seconds["pruned"], "share": share, "kept": len(kept)}


def _epochs(bench: Bench, *, fold: int, epochs: int, previews: int) -> Row:
    """Train to the end as the command does, with all that happens between epochs except evaluation."""
    if fold != WHOLE and bench.data:
        raise NotHereError("only the made clips have a fold of few clips")
    watch = Watch(bench.device)
    chosen = {"fold": fold, "epochs": epochs, "evaluate_every": epochs, "previews": previews, "warmup": 1, "window": 1}
    with ExitStack() as stack:
        run = _open(bench, stack, cache=bench.best_cache, progress=watch.progress, **chosen)
        train_to_the_end(run, RunState())
    settled = watch.taken[min(_SETTLED, epochs) - 1]
    return {
        "gap_seconds": statistics.median(watch.gaps), "largest_gap": max(watch.gaps), "epochs": epochs,
        "growth_MB": (watch.taken[-1] - settled) / 1e6, **_used(bench),
    }  # fmt: skip
