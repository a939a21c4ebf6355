"""Memory is reused once nothing refers to it, and never before."""

from __future__ import annotations

import torch

from sciu.pipeline.feed.memory.buffers import Buffers


def test_what_somebody_holds_is_not_given_out_again() -> None:
    buffers = Buffers()
    first = buffers.take((4, 3))
    part = first[2:]
    address = first.data_ptr()
    assert buffers.take((4, 3)).data_ptr() != address
    del first
    assert buffers.take((4, 3)).data_ptr() != address, "a view of it is still held"
    del part
    assert buffers.take((4, 3)).data_ptr() == address


def test_a_shorter_last_batch_uses_the_same_memory_and_a_larger_one_replaces_it() -> None:
    buffers = Buffers()
    address = buffers.take((4, 3)).data_ptr()
    assert buffers.take((2, 3)).data_ptr() == address
    assert buffers.take((8, 3)).shape == (8, 3)
    assert len(buffers._arrays) == 1


def test_memory_outlives_the_buffers() -> None:
    tensor = Buffers().take((100, 100))
    tensor.fill_(3)
    assert torch.all(tensor == 3)
