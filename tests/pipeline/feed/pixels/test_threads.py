"""Work is spread over threads, and results are in order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sciu.pipeline.feed.feed import ahead
from sciu.pipeline.feed.pixels.threads import in_threads, single_threaded_pool


@pytest.mark.parametrize("count", [0, 1, 3, 16])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_in_order(count: int, threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        assert in_threads(pool, threads, lambda k: k * k, count).results() == [k * k for k in range(count)]


def test_an_exception_is_raised() -> None:
    with ThreadPoolExecutor(2) as pool, pytest.raises(ZeroDivisionError):
        in_threads(pool, 2, lambda k: 1 // (k - 3), 5).results()


def test_threads_of_one_core_each_use_one() -> None:
    """Each of them once started torch's own threads at its first operation, which then waited for one another."""
    usual = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        with single_threaded_pool(2, "test") as pool:
            for _ in range(4):
                assert pool.submit(lambda: (torch.zeros(1 << 20).add_(1), torch.get_num_threads())[1]).result() == 1
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(usual)


def test_looking_ahead_keeps_the_order_and_no_more_than_it_should() -> None:
    begun: list[int] = []

    def begin(number: int) -> int:
        begun.append(number)
        return number

    seen = []
    for number in ahead(map(begin, range(6)), 2):
        seen.append(number)
        assert len(begun) - len(seen) == min(2, 6 - len(seen))
    assert seen == list(range(6))
    assert list(ahead([], 3)) == []
