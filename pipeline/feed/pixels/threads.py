"""Process the items of a batch in a few threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

Result = TypeVar("Result")


@dataclass(frozen=True)
class InThreads(Generic[Result]):
    """The work on a batch: one future per thread, because one per item would cost 30 us of Python each."""

    count: int
    futures: list[Future[list[Result]]]

    def results(self) -> list[Result]:
        """Wait for the work and return the items' results in order; the first exception is raised."""
        results: list[Result | None] = [None] * self.count
        for part, future in enumerate(self.futures):
            results[part :: len(self.futures)] = future.result()
        return results  # type: ignore[return-value] # every place is filled

    def cancel(self) -> None:
        """Cancel the work that has not started."""
        for future in self.futures:
            future.cancel()


def single_threaded_pool(threads: int, name: str) -> ThreadPoolExecutor:
    """Start threads in which each torch operation uses one core.

    torch's own threads spin while they wait, and took 30 % of the decoder's time on two cores. Their number is set per
    thread, but new threads inherit it, so it is restored.
    """
    usual = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, name, initializer=_use_one_core)
    all_here = threading.Barrier(threads)
    in_threads(pool, threads, lambda _: all_here.wait(), threads).results()
    torch.set_num_threads(usual)
    return pool


def _use_one_core() -> None:
    torch.get_num_threads()  # a thread's first operation sets the usual number; asking counts as one, and comes before
    torch.set_num_threads(1)


def in_threads(
    pool: ThreadPoolExecutor, threads: int, function: Callable[[int], Result], count: int
) -> InThreads[Result]:
    """Call a function for the numbers below `count` in at most `threads` of the pool's threads."""
    parts = min(threads, count)
    return InThreads(count, [pool.submit(_some, function, range(part, count, parts)) for part in range(parts)])


def _some(function: Callable[[int], Result], numbers: range) -> list[Result]:
    return [function(number) for number in numbers]
