"""`step`: the step alone, eager, in bf16, as a CUDA graph; `compiled`: the same, compiled, which takes minutes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import torch

from sciu.models.registry import describe, frame_size
from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.step.step import Step
from sciu.tools.benchmarks.gpu.bench import Bench, NotHereError, Row, read_results
from sciu.tools.benchmarks.gpu.clock import timed
from sciu.tools.benchmarks.measure import median_and_spread
from sciu.tools.benchmarks.product import wait
from sciu.tools.benchmarks.step import BACKWARD, WAYS, possible, prepared

_RATE = 1e-3
_PLAIN = ("eager fp32", "eager bf16", "graph bf16")


def step(bench: Bench) -> None:
    """Take the step in every way but compiled, batches of the first size first: training uses that size."""
    backbone, (batch, *larger) = bench.sizes.backbones[0], bench.sizes.batches
    _measure(bench, [batch], _PLAIN)
    bench.measure(f"{backbone}, {bench.sizes.short} of {batch} clips, graph bf16", partial(_short, bench))
    bench.measure("profile", partial(_profile, bench))
    _measure(bench, larger, _PLAIN)


def compiled(bench: Bench) -> None:
    """Take the step compiled."""
    _measure(bench, bench.sizes.batches, ("graph, compiled bf16" if bench.on_gpu else "compiled bf16",))


def _measure(bench: Bench, batches: Sequence[int], ways: Sequence[str]) -> None:
    for batch, backbone, way in product(batches, bench.sizes.backbones, ways):
        bench.measure(f"{backbone}, {batch} clips, {way}", partial(_take, bench, backbone, batch, way))


def _build(bench: Bench, backbone: str, batch: int, way: str) -> tuple[Step, ClipBatch]:
    if not possible(WAYS[way], bench.device):
        raise NotHereError("a GPU or a C++ compiler is missing")
    sizes, switches = bench.sizes, {"cuda_graph": "off", **WAYS[way]}
    settings = Settings(
        method="sciu", backbone=backbone, batch_size=batch, frames=sizes.frames, size=sizes.size, **switches
    )
    return prepared(settings, bench.device)


def _take(bench: Bench, backbone: str, batch: int, way: str) -> Row:
    """Time a step by the device's events, and compare its operations with a matrix product."""
    began = time.perf_counter()
    step, clips = _build(bench, backbone, batch, way)
    built = time.perf_counter() - began
    seconds, spread = median_and_spread(_seconds(bench, step, clips))
    flops = batch * describe(backbone, bench.sizes.frames)["flops"] * (1 + BACKWARD)
    flops *= (bench.sizes.size / frame_size(backbone)) ** 2
    return {
        "ms": seconds * 1000, "clips_per_second": batch / seconds, "spread": spread, "seconds_to_build": built,
        "TFLOP_per_second": flops / seconds / 1e12, **_share(bench, way, flops / seconds / 1e12), **_memory(bench),
    }  # fmt: skip


def _seconds(bench: Bench, step: Step, clips: ClipBatch) -> list[float]:
    """Return a step's seconds in several rounds, which together take a contestant's time."""

    def take(count: int) -> None:
        for _ in range(count):
            step(clips, _RATE)

    take(1)
    one = timed(partial(take, 3), bench.device) / 3
    count = max(1, round(bench.sizes.seconds / bench.sizes.rounds / one))
    return [timed(partial(take, count), bench.device) / count for _ in range(bench.sizes.rounds)]


def _share(bench: Bench, way: str, reached: float) -> dict[str, float]:
    """Compare it with this machine's matrix product; convolutions in float32 are tf32 on a GPU."""
    stage = read_results(bench.out)["stages"].get("machine", {})
    products: dict[str, Any] = stage.get("rows", {}).get("products, TFLOP/s", {})
    peak = products.get("bf16" if "bf16" in way else "tf32")
    return {"share_of_product": reached / peak} if peak else {}


def _memory(bench: Bench) -> Row:
    return {"peak_GB": torch.cuda.max_memory_allocated(bench.device) / 1e9} if bench.on_gpu else {}


def _short(bench: Bench) -> Row:
    """Time a batch of fewer clips than the graph was captured with: the last one of an epoch."""
    step, clips = _build(bench, bench.sizes.backbones[0], bench.sizes.batches[0], _best_way(bench))
    few = ClipBatch(clips.ids[: bench.sizes.short], clips.frames_BTHWC[: bench.sizes.short])
    whole, short = (partial(timed, partial(step, batch, _RATE), bench.device) for batch in (clips, few))
    first = short()
    rounds = [(whole(), short()) for _ in range(bench.sizes.rounds)]  # in turn, as at the end of an epoch
    usual, ms = (1000 * statistics.median(seconds) for seconds in zip(*rounds, strict=True))
    return {"ms": ms, "first_ms": first * 1000, "whole_batch_ms": usual}


def _best_way(bench: Bench) -> str:
    return "graph bf16" if bench.on_gpu else "eager bf16"


def _profile(bench: Bench) -> Row:
    """Write the ten kernels that take the most time to a file."""
    step, clips = _build(bench, bench.sizes.backbones[0], bench.sizes.batches[0], _best_way(bench))
    activities = [torch.profiler.ProfilerActivity.CPU]
    activities += [torch.profiler.ProfilerActivity.CUDA] if bench.on_gpu else []
    step(clips, _RATE)
    wait(bench.device)
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(bench.sizes.rounds):
            step(clips, _RATE)
        wait(bench.device)
    order = f"self_{'device' if bench.on_gpu else 'cpu'}_time_total"
    table = profile.key_averages().table(sort_by=order, row_limit=10, max_name_column_width=90)
    (bench.out / "profile.txt").write_text(table + "\n")
    return {"file": "profile.txt", "steps": bench.sizes.rounds}
