"""`race`: whether each clip is trained on its own pixels while the device is far behind the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product

import torch
from torch import Tensor

from sciu.pipeline.feed.feed import Feed
from sciu.pipeline.feed.plan.plan import Plan
from sciu.pipeline.feed.plan.sampling import Sampling
from sciu.purification import EpochIndex
from sciu.tools.benchmarks.gpu.bench import Bench, Row
from sciu.tools.benchmarks.gpu.clock import timed
from sciu.tools.benchmarks.gpu.stages.feed import feed_of, planner_of
from sciu.tools.benchmarks.product import wait

_SECONDS = 0.02  # the device is kept busy before each batch
_TOLERATED = 12.0  # of 255, on average over a frame: decoders differ by up to 7, clips by 60
_TRIED = 10_000_000  # cycles

Pixels = dict[int, Tensor]


def race(bench: Bench) -> None:
    """Read clips under load, by each decoder, and compare their pixels with those of the CPU."""
    for codec, decode in product(("jpeg", "h264"), ("auto", "cpu", "gpu")):
        bench.measure(f"{codec}, decode {decode}", partial(_race, bench, codec, decode))


def _race(bench: Bench, codec: str, decode: str) -> Row:
    plan = _plan(bench, codec)
    dataset, busy = bench.dataset(codec), _load(bench.device)
    feed = feed_of(bench, dataset, bench.device, decode)
    with feed:
        calm = _pixels(feed, plan, partial(wait, bench.device))
        loaded = _pixels(feed, plan, busy)
        counts = {"lost": len(feed.faults), "on_host": len(feed.on_host)}
    with feed_of(bench, dataset, torch.device("cpu"), "cpu") as reference:
        expected = _pixels(reference, plan, lambda: None)
    return counts | _compared(loaded, expected, calm)


def _plan(bench: Bench, codec: str) -> Plan:
    """Plan distinct frames of each clip, as many as possible: nothing in such a batch waits for the device."""
    dataset = bench.dataset(codec)
    planner = replace(
        planner_of(bench, dataset, "resized"), sampling=Sampling(how="uniform", frames=bench.sizes.frames)
    )
    return planner.training(EpochIndex.given(dataset.ids("train")[: bench.sizes.raced], dataset.labels, 1))


def _load(device: torch.device) -> Callable[[], None]:
    """Return a function that keeps the device busy; a CPU has no queue that could fall behind."""
    if device.type != "cuda":
        return lambda: None
    cycles = round(_TRIED * _SECONDS / timed(lambda: torch.cuda._sleep(_TRIED), device))  # noqa: SLF001 - no other is as steady
    return lambda: torch.cuda._sleep(cycles)  # noqa: SLF001


def _pixels(feed: Feed, plan: Plan, load: Callable[[], None]) -> Pixels:
    """Return every clip as a step would get it that follows the load in the device's queue."""
    batches = []
    for batch in feed.batches(plan):
        load()
        batches.append((batch.ids.clone(), batch.frames_BTHWC.clone()))  # queued, not waited for
    return {
        clip: frames for ids, clips in batches for clip, frames in zip(ids.tolist(), clips, strict=True)
    }  # fmt: skip


def _compared(loaded: Pixels, expected: Pixels, calm: Pixels) -> Row:
    """Compare clips with the CPU's, frame by frame, and with the same feed's without load, bit by bit."""
    differences = {clip: _difference(frames, expected[clip]) for clip, frames in loaded.items()}
    strangers = [_difference(expected[a], expected[b]) for a, b in zip(loaded, [*loaded][1:], strict=False)]
    wrong = [clip for clip, difference in differences.items() if difference > _TOLERATED]
    changed = [clip for clip, frames in loaded.items() if not torch.equal(frames, calm[clip])]
    row: Row = {
        "clips": len(loaded), "wrong": len(wrong), "changed": len(changed),
        "largest_difference": max(differences.values()), "least_between_clips": min(strangers),
    }  # fmt: skip
    if wrong or changed or len(loaded) < len(expected):
        row["error"] = (
            f"of {len(expected)} clips {len(wrong)} have the wrong pixels, {len(changed)} other ones than calm"
        )
    return row


def _difference(one: Tensor, other: Tensor) -> float:
    """Return the mean difference of the frame that differs most."""
    apart_THWC = (one.float() - other.to(one.device).float()).abs()
    return float(apart_THWC.mean(dim=(1, 2, 3)).max())
