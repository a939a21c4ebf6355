"""What `auto` means on this machine: every choice comes with its reason."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass

import numpy as np
import torch

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.errors import require
from sciu.pipeline.feed.memory.cache import Cache
from sciu.pipeline.feed.memory.free_memory import available_bytes
from sciu.pipeline.feed.pixels.threads import single_threaded_pool
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.job.ranks import Ranks, local_rank

_BF16_FROM = 8, 0  # compute capability
_SIDE, _TRIES = 512, 10  # of the products that tell what bf16 gains on a CPU
_WORTH_ROUNDING = 1.3
_GIB = 1 << 30
_MARGIN = 4 * _GIB  # on a GPU: for nvJPEG, NVDEC and batches in flight
_MORE = 1.03  # a rank's clips differ from the mean, and blocks of memory are not quite filled


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why."""

    value: str
    reason: str


def choose_device(wanted: str, *, deterministic: bool = False) -> tuple[torch.device, Choice]:
    """Choose the GPU of this process if there is one, and make it torch's current device."""
    chosen = "cuda" if wanted == "auto" and torch.cuda.is_available() else "cpu" if wanted == "auto" else wanted
    known = re.fullmatch(r"cpu|cuda(:\d{1,4})?", chosen)
    require(known is not None, "device", "auto, cpu, cuda or cuda:N", repr(wanted))
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it starts
        torch.use_deterministic_algorithms(True, warn_only=True)
    if chosen == "cpu":
        return torch.device("cpu"), Choice("cpu", "as requested" if wanted == "cpu" else "torch finds no GPU")
    device = torch.device(chosen if ":" in chosen else f"cuda:{local_rank()}")
    count = torch.cuda.device_count()
    require((device.index or 0) < count, "device", f"one of the {count} GPUs that torch finds", str(device))
    torch.cuda.set_device(device)  # graphs, events and NCCL go by the current one
    return device, Choice(str(device), torch.cuda.get_device_name(device))


def require_here(settings: Settings) -> None:
    """Raise for what this machine lacks, before anything is built: the device, or a GPU that other settings need."""
    device, _ = choose_device(settings.device)
    choose_cuda_graph(settings.cuda_graph, device, accumulate=settings.accumulate)
    requested = settings.requested_cache()
    if requested and requested[0] == "gpu":
        _require_gpu_for(settings.cache, device)


def choose_amp(wanted: str, device: torch.device) -> Choice:
    """Choose bf16 where the hardware supports it and, on a CPU, is faster in it.

    That it has the instructions says little: a product of matrices takes .46 of float32's time on an AMD EPYC, and
    1.9 of it on an Intel Xeon without AMX, where `resnet18_lstm` trained at .7 of the rate of float32.
    """
    if wanted != "auto":
        return Choice(wanted, "as requested")
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        if capability >= _BF16_FROM:
            return Choice("bf16", "this GPU supports bf16, which needs no loss scaling")
        return Choice("fp16", f"compute capability {capability[0]}.{capability[1]} supports fp16, but not bf16")
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):  # noqa: SLF001 - no public function says it
        return Choice("off", "this CPU does not support bf16")
    gain = _gain_of_bf16()
    reason = f"this CPU multiplies matrices {gain:.1f} times as fast in bf16 as in float32"
    return Choice("bf16" if gain >= _WORTH_ROUNDING else "off", reason)


def _gain_of_bf16() -> float:
    """Return the time of a product of matrices in float32 over that in bf16, by the clock of a single thread.

    Wall time will not do: beside four busy processes one in fifty ratios was wrong by a factor of ten.
    """
    with single_threaded_pool(1, "sciu-product") as core:
        exact, rounded = (core.submit(_time_of_a_product, kind).result() for kind in (torch.float32, torch.bfloat16))
    return exact / rounded


def _time_of_a_product(kind: torch.dtype) -> float:
    left, times = torch.ones(_SIDE, _SIDE, dtype=kind), []
    for _ in range(_TRIES):
        began = time.thread_time()
        left @ left
        times.append(time.thread_time() - began)
    return min(times)


def choose_cuda_graph(wanted: str, device: torch.device, *, accumulate: int = 1) -> Choice:
    """Capture the step if there is a GPU, and every batch changes the weights."""
    if device.type != "cuda":
        require(wanted != "on", "cuda_graph", "off or auto without a GPU", wanted)
        return Choice("off", "a CPU has no kernel launches to save")
    if accumulate > 1 and wanted == "auto":
        return Choice("off", f"only one batch in {accumulate} changes the weights, and a graph is the same for all")
    return Choice("on", "the whole step is one launch") if wanted == "auto" else Choice(wanted, "as requested")


def choose_compile(wanted: str) -> Choice:
    """Leave compiling to the user: it takes minutes."""
    return (
        Choice("off", "compiling takes minutes; try `on` for long runs")
        if wanted == "auto"
        else Choice(wanted, "as requested")
    )


def choose_cache(settings: Settings, dataset: Dataset, ranks: Ranks, device: torch.device) -> tuple[Cache, Choice]:
    """Keep all clips decoded if they fit: on the GPU, else in half of the free memory."""
    wanted = settings.cache
    if settings.pipeline != "dali" or wanted == "off":
        return Cache(0), Choice(
            "off", "as requested" if wanted == "off" else f"--pipeline {settings.pipeline} has no cache"
        )
    if requested := settings.requested_cache():
        return _requested_cache(*requested, wanted, device), Choice(wanted, "as requested")
    clips = len(dataset.ids("train", settings.fold)) + len(dataset.ids("test", settings.fold))
    needed = int(clips // ranks.world * _mean_bytes(dataset) * _MORE)
    half = available_bytes() // 2 // ranks.here
    reason = f"all frames of {clips // ranks.world:,} clips need {_gib(needed)}"
    if device.type == "cuda":
        room = _room_on(device)
        reason += f", {device} has {_gib(room)} besides the step and {_gib(_MARGIN)} kept free"
        if needed <= room:
            return Cache(room, "cuda"), Choice(f"gpu:{room >> 30}G", f"{reason}; allocated as it fills")
    reason += f", half of the free memory is {_gib(half)}"
    if needed > half:
        return Cache(0), Choice("off", f"{reason}: --cache {max(1, half >> 30)}G keeps what fits")
    return Cache(half), Choice(f"{half >> 30}G", reason)


def _requested_cache(place: str, size: int, wanted: str, device: torch.device) -> Cache:
    if place != "gpu":
        return Cache(size)
    _require_gpu_for(wanted, device)
    room = _room_on(device)
    require(
        size <= room, "cache", f"at most {_gib(room)} on {device}, which has no more besides the step", repr(wanted)
    )
    return Cache(size, "cuda")


def _require_gpu_for(cache: str, device: torch.device) -> None:
    require(device.type == "cuda", "cache", "on the CPU, as in 8G, without a GPU", repr(cache))


def _room_on(device: torch.device) -> int:
    """Return the free memory of a GPU, with the step in place, less a margin for decoders."""
    return max(0, torch.cuda.mem_get_info(device)[0] - _MARGIN)


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size / (1 << 20):,.0f} MiB"


def _mean_bytes(dataset: Dataset) -> int:
    table = dataset.clips
    usable = table.frames > 0
    pixels = table.frames[usable].astype(np.int64) * table.width[usable] * table.height[usable]
    return int(pixels.mean() * 3) if usable.any() else 0
