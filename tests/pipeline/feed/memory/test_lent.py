"""Memory that queued work reads is not released before that work is done."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
from feeding import Work
from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.feed.memory.lent import Lent


class Memory:
    """An object that reports when its last reference is gone."""


def test_memory_is_held_until_the_work_before_its_event_is_done() -> None:
    lent, first, second, third = Lent(), Work(), Work(), Work()
    memory = Memory()
    alive = weakref.ref(memory)
    lent.hold(memory, first)
    del memory
    lent.hold(Memory(), second)
    assert alive() is not None
    first.done = True
    lent.hold(Memory(), third)
    assert alive() is None
    assert len(lent) == 2
    lent.give_back()
    assert len(lent) == 0
    assert (second.waited, third.waited) == (1, 1)
    assert not first.waited


@given(st.lists(st.booleans(), max_size=20))
def test_work_is_done_in_order_so_what_is_behind_an_unfinished_piece_is_held(done: list[bool]) -> None:
    lent = Lent()
    for each in done:
        lent.hold(Memory(), Work(each))
    expected: list[bool] = []
    for each in done:
        expected.append(each)
        while expected and expected[0]:
            expected.pop(0)
    assert len(lent) == len(expected)


@pytest.mark.needs_cuda
def test_a_gpu_reads_what_was_lent_although_its_owner_would_reuse_it() -> None:
    """A decoder that reuses its block at once, like DALI, and fills it with the next clip."""
    stream, lent = torch.cuda.Stream(), Lent()
    block = torch.full((1 << 20,), 1, dtype=torch.uint8, device="cuda")
    torch.cuda._sleep(200_000_000)
    read = block.clone()
    owner_took_it_back = Memory()
    gone = weakref.ref(owner_took_it_back)
    lent.hold((block, owner_took_it_back), torch.cuda.current_stream().record_event())
    del owner_took_it_back
    with torch.cuda.stream(stream):
        if gone() is None:
            block.fill_(2)
    torch.cuda.synchronize()
    assert np.unique(read.cpu().numpy()).tolist() == [1]
