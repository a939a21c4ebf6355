"""The speed of an epoch, and how much of its time is spent waiting for data."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch

from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.train.job.cores import ComputeThreads

_IN_FLIGHT = 2  # steps that a GPU may lag behind: enough to keep it busy, few enough to measure and to stop


@dataclass
class Throughput:
    """The time of an epoch's training, in threads that give way to other processes."""

    threads: ComputeThreads | None = None
    began: float = field(default_factory=time.perf_counter)
    waiting: float = 0.0  # seconds
    clips: int = 0
    _steps: deque[torch.cuda.Event] = field(default_factory=deque)

    def timed(self, batches: Iterable[ClipBatch]) -> Iterator[ClipBatch]:
        """Yield the batches, and time the wait for each."""
        source = iter(batches)
        while True:
            requested = time.perf_counter()
            batch = next(source, None)
            if self._device_is_idle():
                self.waiting += time.perf_counter() - requested
            if batch is None:
                return
            if self.threads:
                self.threads.give_way()
            yield batch
            self.clips += len(batch)
            if batch.ids.is_cuda:
                self._hold_back()

    def _device_is_idle(self) -> bool:
        """Return whether the device has nothing left to do; while a GPU is busy, waiting costs nothing."""
        return not self._steps or self._steps[-1].query()

    def _hold_back(self) -> None:
        """Wait for the step before the last one, so that the host is never further ahead."""
        event = torch.cuda.Event()
        event.record()
        self._steps.append(event)
        if len(self._steps) > _IN_FLIGHT:
            self._steps.popleft().synchronize()

    @property
    def seconds(self) -> float:
        """Seconds since the epoch began."""
        return time.perf_counter() - self.began

    def __str__(self) -> str:
        return f"{self.clips / self.seconds:,.0f} clips/s, {self.waiting / self.seconds:.0%} waiting"
