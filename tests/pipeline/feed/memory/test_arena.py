"""Pieces of a device's memory do not overlap, stay within their budget, and are reused after they are given back."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sciu.pipeline.feed.memory.arena import Arena, rounded

CPU = torch.device("cpu")


def span(piece: torch.Tensor) -> tuple[int, int]:
    return piece.data_ptr(), piece.data_ptr() + rounded(piece.nbytes)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3000)), max_size=60))
def test_pieces_never_overlap(orders: list[tuple[bool, int]]) -> None:
    arena, held = Arena(CPU, budget=5 * 4096, block=4096), list[torch.Tensor]()
    for take, size in orders:
        if take and (piece := arena.take(size)) is not None:
            assert piece.nbytes == size
            held.append(piece)
        elif not take and held:
            arena.give_back(held.pop(size % len(held)))
    spans = sorted(map(span, held))
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert len(arena._blocks) <= 5
    while held:
        arena.give_back(held.pop())
    assert all(spans == [(0, 4096)] for spans in arena._free), "free neighbours become one"


def test_a_full_arena_says_so_and_has_room_again_once_something_is_given_back() -> None:
    arena = Arena(CPU, budget=2 * 1024, block=1024)
    pieces = [arena.take(512) for _ in range(4)]
    assert arena.take(1) is None
    assert pieces[1] is not None
    arena.give_back(pieces[1])
    again = arena.take(500)
    assert again is not None
    assert again.data_ptr() == pieces[1].data_ptr()
    assert arena.take(2000) is None, "larger than a block"


def test_a_device_that_has_no_more_ends_the_growth_not_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    arena = Arena(CPU, budget=4 * 1024, block=1024)
    first = arena.take(1024)

    def no_memory(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch, "empty", no_memory)
    assert arena.take(1024) is None
    monkeypatch.undo()
    assert arena.take(1024) is None, "it does not ask again"
    assert first is not None
    arena.give_back(first)
    assert arena.take(1000) is not None
