"""Batches pass through unchanged, and the wait for them is measured apart from the work on them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch

from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.train.step.throughput import Throughput


def slowly(count: int, seconds: float) -> Iterator[ClipBatch]:
    for number in range(count):
        time.sleep(seconds)
        yield ClipBatch(torch.tensor([number]), torch.zeros((1, 1, 2, 2, 3), dtype=torch.uint8))


def test_waiting_is_what_the_source_takes() -> None:
    throughput = Throughput()
    seen = []
    for batch in throughput.timed(slowly(3, 0.05)):
        seen += batch.ids.tolist()
        time.sleep(0.05)
    assert seen == [0, 1, 2]
    assert throughput.clips == 3
    assert 0.15 <= throughput.waiting <= throughput.seconds - 0.15


def test_a_loop_that_is_left_early_counts_what_it_had() -> None:
    throughput = Throughput()
    for _ in throughput.timed(slowly(3, 0.0)):
        break
    assert throughput.clips == 0


def test_a_gpu_that_still_works_does_not_wait() -> None:
    """The host may take its time while steps are queued; once the last of them is done, the GPU waits."""
    waited = {}
    for done in (False, True):
        throughput = Throughput()
        throughput._steps.append(Step(done))  # type: ignore[arg-type]
        for _ in throughput.timed(slowly(1, 0.05)):
            pass
        waited[done] = throughput.waiting
    assert waited[False] == 0
    assert waited[True] >= 0.05


class Step:
    """The event behind a step."""

    def __init__(self, done: bool) -> None:
        self.query = lambda: done
