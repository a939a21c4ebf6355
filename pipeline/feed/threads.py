"""Work on the items of a batch in a few threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Spread(Generic[Result]):
    """The work on a batch: a future for each thread, not for each item, which would cost 30 us of Python."""

    count: int
    futures: list[Future[list[Result]]]

    def results(self) -> list[Result]:
        """Wait for the work, and return the items' results in order; the first exception is raised."""
        results: list[Result | None] = [None] * self.count
        for part, future in enumerate(self.futures):
            results[part :: len(self.futures)] = future.result()
        return results  # type: ignore[return-value] # every place is filled

    def cancel(self) -> None:
        """Do not begin what has not begun."""
        for future in self.futures:
            future.cancel()


def spread(pool: ThreadPoolExecutor, threads: int, function: Callable[[int], Result], count: int) -> Spread[Result]:
    """Call a function for the numbers below `count` in some of the pool's threads."""
    parts = min(threads, count)
    return Spread(count, [pool.submit(_some, function, range(part, count, parts)) for part in range(parts)])


def _some(function: Callable[[int], Result], numbers: range) -> list[Result]:
    return [function(number) for number in numbers]
