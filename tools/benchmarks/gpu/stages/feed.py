"""`feed`: clips a second from files, host cache and device arena on an otherwise idle device, waited for."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.system.cores import cores
from sciu.pipeline.feed.dali_feed import DaliFeed
from sciu.pipeline.feed.memory.cache import Cache
from sciu.pipeline.feed.plan.augmentation import Augmentation
from sciu.pipeline.feed.plan.plan import Plan, Planner
from sciu.pipeline.feed.plan.sampling import Sampling
from sciu.pipeline.train.step.throughput import Throughput
from sciu.purification import EpochIndex
from sciu.tools.benchmarks.gpu.bench import Bench, NotHereError, Row
from sciu.tools.benchmarks.gpu.clock import clocked

_CROPS = ("resized", "shifted")
_DECODERS = ("auto", "cpu", "gpu")
_SHARE_OF_A_CLIP = 1 / 64  # of a cache, at most


def feed(bench: Bench) -> None:
    """Read epochs in every way."""
    for crop in _CROPS:
        for where in ("device", "host"):
            bench.measure(f"{where} cache, {crop}", partial(_cached, bench, where, crop))
        for decode in _DECODERS:
            bench.measure(f"files, decode {decode}, {crop}", partial(_from_files, bench, decode, crop))


def feed_of(bench: Bench, dataset: Dataset, device: torch.device, decode: str, cache: Cache | None = None) -> DaliFeed:
    """Return a feed that uses all cores."""
    if decode == "gpu":
        bench.require_gpu("decoding on the GPU")
    chosen: dict[str, Any] = {"decode": decode} if "decode" in {field.name for field in fields(DaliFeed)} else {}
    if not chosen and decode != "auto" and device.type == "cuda":
        raise NotHereError("this feed does not let its decoder be chosen")
    kept = Cache(0) if cache is None else cache
    return DaliFeed(dataset=dataset, device=device, cache=kept, threads=cores(), **chosen)


def planner_of(bench: Bench, dataset: Dataset, crop: str) -> Planner:
    """Return a planner like that of training."""
    sizes = bench.sizes
    return Planner(
        dataset=dataset, size=sizes.size, batch_size=sizes.batches[0], augmentation=Augmentation(crop=crop),
        sampling=Sampling(frames=sizes.frames),
    )  # fmt: skip


def room_for(dataset: Dataset) -> int:
    """Return the size in bytes of a cache that keeps every clip."""
    table = dataset.clips
    sizes = table.frames.astype(np.int64) * table.width * table.height * 3
    return int(max(1.25 * sizes.sum(), 1.25 * sizes.max() / _SHARE_OF_A_CLIP))


def _cached(bench: Bench, where: str, crop: str) -> Row:
    if where == "device":
        bench.require_gpu("a device cache")
    dataset = bench.dataset()
    cache = Cache(room_for(dataset), "cuda" if where == "device" else "cpu")
    return _read(bench, feed_of(bench, dataset, bench.device, "auto", cache), crop)


def _from_files(bench: Bench, decode: str, crop: str) -> Row:
    return _read(bench, feed_of(bench, bench.dataset(), bench.device, decode), crop)


def _read(bench: Bench, feed: DaliFeed, crop: str) -> Row:
    """Read a first epoch, then others until the time is up."""
    planner = planner_of(bench, feed.dataset, crop)
    index = EpochIndex.given(feed.dataset.ids("train"), feed.dataset.labels, 1)
    with feed:
        cold = clocked(partial(_drain, feed, planner.training(index)), bench.device)
        spent = watch_host(feed)
        seconds: list[float] = []
        while sum(seconds) < bench.sizes.seconds or len(seconds) < 2:
            plan = planner.training(replace(index, epoch=len(seconds) + 2))
            seconds.append(clocked(partial(_drain, feed, plan), bench.device))
        tally, reasons, faults = feed.tally, feed.reasons, len(feed.faults)
    clips = len(index.ids)
    return {
        "clips_per_second": clips / min(seconds), "cold": clips / cold, "clips": clips, "epochs": len(seconds),
        "from_cache": tally.cached / clips, "faults": faults, "reasons": reasons,
        "host_ms_a_batch": {name: 1000 * taken / (plan.steps * len(seconds)) for name, taken in spent.items()},
    }  # fmt: skip


def watch_host(feed: DaliFeed) -> dict[str, float]:
    """Return the host's seconds by what it does, waiting included; the dictionary fills while the feed reads."""
    spent: dict[str, float] = {}
    parts: list[tuple[object, str]] = [(feed, name) for name in ("_read", "_decode", "_found", "_keep")]
    if feed._gpu is not None:  # noqa: SLF001 - it measures the inside
        parts += [(feed._gpu, "bring"), (feed._gpu, "render")]  # noqa: SLF001
    for owner, name in parts:
        setattr(owner, name, partial(_clocked_call, getattr(owner, name), spent, name.lstrip("_")))
    return spent


def _clocked_call(function: Callable[..., Any], spent: dict[str, float], name: str, *given: Any, **named: Any) -> Any:
    began = time.perf_counter()
    try:
        return function(*given, **named)
    finally:
        spent[name] = spent.get(name, 0.0) + time.perf_counter() - began


def _drain(feed: DaliFeed, plan: Plan) -> None:
    """Read as the trainer does, which lets the host be two batches ahead of the device."""
    for _ in Throughput().timed(feed.batches(plan)):
        pass


def gibibytes(dataset: Dataset) -> int:
    """Return the size of a cache that keeps every clip in whole GiB, as `--cache` takes it."""
    return math.ceil(room_for(dataset) / 2**30)
