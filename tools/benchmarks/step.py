"""`step`: clips and operations a second of the whole step: eager, bf16, compiled, as a CUDA graph."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from sciu.models.registry import describe, frame_size
from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.feed.memory.buffers import keep_freed_memory
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.job.ranks import Ranks
from sciu.pipeline.train.run.build import build_step
from sciu.pipeline.train.step.step import Step
from sciu.tools.benchmarks.measure import json_file, median_and_spread, write_measured
from sciu.tools.benchmarks.product import reachable, wait
from sciu.tools.command import print_table
from sciu.tools.command.backbone import backbone_option

_CLASSES = 7
BACKWARD = 2  # a backward pass takes about two forward passes' operations
_PRODUCT = {"cpu": 2048, "cuda": 8192}  # the side of the matrices that measure what the device can reach

WAYS: dict[str, dict[str, Any]] = {
    "eager fp32": {"amp": "off"},
    "eager bf16": {"amp": "bf16"},
    "compiled fp32": {"amp": "off", "compile": "on"},
    "compiled bf16": {"amp": "bf16", "compile": "on"},
    "graph bf16": {"amp": "bf16", "cuda_graph": "on"},
    "graph, compiled bf16": {"amp": "bf16", "cuda_graph": "on", "compile": "on"},
}


@click.command()
@backbone_option
@click.option("--size", type=click.IntRange(min=1), help="Scale frames to this size.  [default: the network's]")
@click.option("--batch-size", type=click.IntRange(min=1), default=32, help="Put this many clips in a batch.")
@click.option("--frames", type=click.IntRange(min=1), default=16, help="Take this many frames from each clip.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, help="Measure this many rounds.")
@click.option("--steps", type=click.IntRange(min=1), default=5, help="Time this many steps a round.")
@click.option(
    "--way", "chosen", multiple=True, type=click.Choice([*WAYS]), help="Take this way beside the first; left out: all."
)
@json_file
def step(
    backbone: str,
    size: int | None,
    batch_size: int,
    frames: int,
    rounds: int,
    steps: int,
    chosen: tuple[str, ...],
    out: Path | None,
) -> None:
    """Take the same step in every way that this machine supports, in turn.

    Example: python tools/bench.py step --backbone resnet18_lstm --batch-size 32
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    size = size or frame_size(backbone)
    settings = Settings(
        method="sciu", backbone=backbone, batch_size=batch_size, frames=frames, size=size, cuda_graph="off"
    )
    if device.type == "cpu":
        keep_freed_memory()  # as a training's feed does
    wanted = {next(iter(WAYS)), *chosen} if chosen else WAYS
    ways = {name: way for name, way in WAYS.items() if name in wanted and possible(way, device)}
    runs = {name: _contestant(replace(settings, **way), device, steps) for name, way in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(run() / steps)
    flops = describe(backbone, frames)["flops"] * (size / frame_size(backbone)) ** 2 * (1 + BACKWARD)
    peaks = {kind: reachable(device, kind, _PRODUCT[device.type]) for kind in dict.fromkeys(map(_kind, runs))}
    rows = []
    for name, times in seconds.items():
        median, spread = median_and_spread(times)
        rate = batch_size / median
        peak = peaks[_kind(name)]
        rows.append({
            "name": name, "clips_per_second": rate, "spread": spread, "flops_per_second": rate * flops,
            "share_of_reachable": rate * flops / peak,
        })  # fmt: skip
    ratios = {f"{row['name']}/eager fp32": row["clips_per_second"] / rows[0]["clips_per_second"] for row in rows[1:]}
    _report(rows, ratios)
    _say_the_product(peaks)
    case = {
        "backbone": backbone, "size": size, "batch_size": batch_size, "frames": frames, "device": _name(device),
        "threads": torch.get_num_threads(),
    }  # fmt: skip
    write_measured(out, case, rows=rows, ratios=ratios, reachable={str(kind): peak for kind, peak in peaks.items()})


def possible(way: dict[str, Any], device: torch.device) -> bool:
    """Return whether the compiler and the GPU that a way needs exist here."""
    if way.get("compile") == "on" and shutil.which("g++") is None:
        return False
    return device.type == "cuda" or way.get("cuda_graph") != "on"


def prepared(settings: Settings, device: torch.device) -> tuple[Step, ClipBatch]:
    """Build a step, and a batch of noise for it."""
    made = build_step(settings, settings.batch_size, [*map(str, range(_CLASSES))], device, Ranks(), lambda _line: None)
    made.begin(np.arange(settings.batch_size, dtype=np.int16) % _CLASSES, seed=0)
    shape = settings.batch_size, settings.frames, settings.size, settings.size, 3
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    return made, ClipBatch(torch.arange(settings.batch_size, device=device), pixels)


def _contestant(settings: Settings, device: torch.device, steps: int) -> Callable[[], float]:
    """Build a step; the first ones, which compile and choose algorithms, are not timed."""
    made, batch = prepared(settings, device)

    def run() -> float:
        wait(device)
        began = time.perf_counter()
        for _ in range(steps):
            made(batch, 1e-3)
        wait(device)
        return time.perf_counter() - began

    run()
    return run


def _kind(way: str) -> torch.dtype:
    return torch.bfloat16 if "bf16" in way else torch.float32


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _say_the_product(peaks: dict[torch.dtype, float]) -> None:
    reached = ", ".join(f"{str(kind).removeprefix('torch.')} {peak / 1e12:.3f}" for kind, peak in peaks.items())
    click.echo(f"a large matrix product, TFLOP/s: {reached}; {torch.get_num_threads()} threads on the CPU")


def _report(rows: list[dict[str, Any]], ratios: dict[str, float]) -> None:
    table = [
        [row["name"], f"{row['clips_per_second']:.1f}", f"{row['spread']:.0%}", f"{row['flops_per_second'] / 1e12:.3f}",
         f"{row['share_of_reachable']:.0%}"] for row in rows
    ]  # fmt: skip
    print_table(["step", "clips/s", "spread", "TFLOP/s", "of a matrix product's"], table)
    for name, ratio in ratios.items():
        click.echo(f"{name}: {ratio:.2f}")
