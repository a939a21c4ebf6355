"""Time on the device."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from sciu.tools.benchmarks.product import wait


def timed(run: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that the device is busy with it: by its events; without a GPU, by the clock."""
    if device.type != "cuda":
        began = time.perf_counter()
        run()
        return time.perf_counter() - began
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    wait(device)
    begin.record()
    run()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1000


def clocked(run: Callable[[], object], device: torch.device) -> float:
    """Return the seconds until it and all that it queued are done."""
    wait(device)
    began = time.perf_counter()
    run()
    wait(device)
    return time.perf_counter() - began
