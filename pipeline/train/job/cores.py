"""The CPU's cores: how many threads compute on them, and how many are left where other work uses them, too.

torch computes in OpenMP threads, which meet at a barrier after each operation: all wait for the last. A thread that has
to share its core with another process is late each time: beside one busy process on two cores, two threads make a third
of the clips a second that they make alone, one thread more than half, and threads that sleep at barriers instead of
spinning a third, too. Hence threads give way: they are as many as other processes leave cores.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sciu.pipeline.dataset.system.cores import cores
from sciu.pipeline.train.job.ranks import Ranks

_INTERVAL = 0.5  # seconds between two looks, which cost 0.1 ms
_TICKS = Path("/proc/stat")
_BUSY = (0, 2, 5, 6, 7)  # user, system, interrupts, soft interrupts, stolen; not that of niced processes


@dataclass(kw_only=True)
class ComputeThreads:
    """The threads that torch computes in, for the thread that calls it: their number is set for each thread."""

    most: int

    def __post_init__(self) -> None:
        self._since, self._busy, self._own = time.monotonic(), busy_seconds(), _own_seconds()
        self._wanted = self.most  # by the look before

    def give_way(self) -> None:
        """Compute in as many threads as other processes leave cores, once two looks in a row agree on their number."""
        now = time.monotonic()
        if self.most == 1 or now - self._since < _INTERVAL:
            return
        busy, own = busy_seconds(), _own_seconds()
        others = (busy - self._busy - (own - self._own)) / (now - self._since)
        self._since, self._busy, self._own = now, busy, own
        wanted = threads_beside(others, len(os.sched_getaffinity(0)), self.most)
        if wanted == self._wanted != torch.get_num_threads():
            torch.set_num_threads(wanted)
        self._wanted = wanted


def threads_beside(others: float, available: int, most: int) -> int:
    """Return how many threads compute beside other processes that keep this many cores busy."""
    return max(1, min(most, round(available - max(0.0, others))))


def busy_seconds(ticks: Path = _TICKS, on: Iterable[int] | None = None) -> float:
    """Return the seconds that all processes have computed on some cores, by default those that we may use."""
    names = {f"cpu{core}" for core in (os.sched_getaffinity(0) if on is None else on)}
    try:
        rows = [line.split() for line in ticks.read_text().splitlines()]
    except OSError:  # a machine that does not tell: nothing else is busy
        return 0.0
    total = sum(int(row[1 + column]) for row in rows if row and row[0] in names for column in _BUSY)
    return total / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    """Return what `busy_seconds` has of this process; the feed's worker processes count as others."""
    return 0.0 if os.nice(0) > 0 else time.process_time()


def compute_threads(ranks: Ranks, device: torch.device, *, fixed: bool) -> ComputeThreads | None:
    """Let torch compute in as many threads as this rank has cores; return what lets them give way, if they may.

    torch goes by an affinity mask, but not by a container's limit, and torchrun sets a single thread for each rank. A
    user who has set OMP_NUM_THREADS has chosen, and threads do not give way then.
    """
    if "OMP_NUM_THREADS" in os.environ and not (ranks.world > 1 and os.environ["OMP_NUM_THREADS"] == "1"):
        return None
    most = max(1, cores() // ranks.here)
    if most != torch.get_num_threads():
        torch.set_num_threads(most)
    return None if fixed or device.type == "cuda" else ComputeThreads(most=most)


@contextmanager
def subnormals_as_zero() -> Iterator[None]:
    """Compute with numbers below 1e-38 as zeros: in this thread, and in all those that torch starts from it later.

    A CPU takes many times as long for them, and a network that has learnt most of its clips has many: gradients, and
    their averages in the optimiser. From epoch 15 of the demo on a clip took 2.5 to 4 ms instead of 1.8. Threads that
    torch has started keep it when this ends, and those that it had before do not follow.
    """
    for kind in (np.float32, np.float64):
        np.finfo(kind)  # is computed once; numpy before 2.3 warns if that happens later
    torch.set_flush_denormal(True)  # on a CPU that cannot: no effect
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
