"""`machine`: hardware and versions, and how fast the machine copies and multiplies."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from sciu.tools.benchmarks.gpu.bench import Bench, Row
from sciu.tools.benchmarks.gpu.clock import timed
from sciu.tools.benchmarks.measure import environment
from sciu.tools.benchmarks.product import reachable
from sciu.tools.doctor.decoder_table import decoder_table

_TRIES = 5


def machine(bench: Bench) -> None:
    """Describe the machine; measure what everything else is compared with."""
    bench.measure("environment", environment)
    bench.measure("copies, GB/s", partial(_copies, bench))
    bench.measure("products, TFLOP/s", partial(_products, bench))
    bench.measure("decoders", lambda: {codec: _able(able) for codec, able in decoder_table().items()})


def _copies(bench: Bench) -> Row:
    """Copy between host and device, and on the device, where each byte is read and written."""
    there = torch.empty(bench.sizes.copied, dtype=torch.uint8, device=bench.device)
    here = torch.empty(bench.sizes.copied, dtype=torch.uint8, pin_memory=bench.on_gpu)
    pageable, other = torch.zeros_like(here, pin_memory=False), torch.empty_like(there)
    ways: dict[str, Callable[[], object]] = {
        "pinned host to device": lambda: there.copy_(here, non_blocking=True),
        "pageable host to device": lambda: there.copy_(pageable),
        "device to pinned host": lambda: here.copy_(there, non_blocking=True),
        "device to device": lambda: other.copy_(there),
    }
    return {name: bench.sizes.copied / _best(bench, copy) / 1e9 for name, copy in ways.items()}


def _best(bench: Bench, run: Callable[[], object]) -> float:
    return min(timed(run, bench.device) for _ in range(_TRIES))


def _products(bench: Bench) -> Row:
    """Multiply large matrices."""
    found = {}
    for name, kind, precision in (
        ("bf16", torch.bfloat16, "highest"),
        ("tf32", torch.float32, "high"),
        ("fp32", torch.float32, "highest"),
    ):
        torch.set_float32_matmul_precision(precision)
        found[name] = reachable(bench.device, kind, bench.sizes.product) / 1e12
    return found


def _able(able: dict[str, bool]) -> str:
    return ", ".join(name for name, works in able.items() if works) or "none"
