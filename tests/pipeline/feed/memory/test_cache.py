"""The cache never holds more than its budget, and stores copies."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.errors import SettingError
from sciu.pipeline.feed.memory.cache import Cache

CLIP = torch.arange(2 * 4 * 4 * 3, dtype=torch.uint8).view(2, 4, 4, 3)


@given(st.lists(st.tuples(st.sampled_from(["keep", "evict", "promise", "break"]), st.integers(0, 30))))
def test_never_more_than_the_budget(steps: list[tuple[str, int]]) -> None:
    cache = Cache(64 * CLIP.nbytes)
    held = set(range(100, 158))  # nearly full
    for clip in held:
        assert cache.promise(clip, CLIP.nbytes)
        cache.keep(clip, CLIP)
    promised: set[int] = set()
    for step, clip in steps:
        if step == "promise" and clip not in held | promised and cache.promise(clip, CLIP.nbytes):
            promised.add(clip)
        elif step == "keep" and clip in promised:
            cache.keep(clip, CLIP)
            promised.discard(clip)
            held.add(clip)
        elif step == "evict":
            cache.evict(clip)
            held.discard(clip)
        elif step == "break":
            cache.break_promises()
            promised.clear()
        assert cache.bytes == CLIP.nbytes * (len(held) + len(promised)) <= cache.budget
        assert {clip for clip in range(158) if cache.get(clip) is not None} == held


def test_one_clip_must_not_take_more_than_its_share() -> None:
    cache = Cache(64 * 1000)
    assert cache.promise(1, 1000)
    assert not cache.promise(2, 1001)
    assert not Cache(0).promise(3, 1)


def test_a_kept_clip_is_a_copy() -> None:
    cache, batch = Cache(1 << 20), torch.zeros(8, 4, 4, 3, dtype=torch.uint8)
    cache.promise(5, batch[2:4].nbytes)
    cache.keep(5, batch[2:4])
    kept = cache.get(5)
    assert kept is not None
    assert kept.untyped_storage().nbytes() == kept.nbytes, "not the batch that it was a part of"
    batch.fill_(9)
    assert not kept.any()


def test_a_clip_that_turns_out_larger_is_not_kept() -> None:
    cache = Cache(1 << 20)
    cache.promise(1, CLIP.nbytes - 1)
    cache.keep(1, CLIP)
    assert cache.get(1) is None
    assert cache.bytes == 0


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(SettingError, match="cache bytes must be at least 0, but is -1"):
        Cache(-1)


def on_a_device(budget: int) -> Cache:
    """A cache that allocates blocks as on a GPU, from host memory."""
    return Cache(budget, "cpu:0")


def test_on_a_device_room_is_given_back_and_taken_again() -> None:
    cache = on_a_device(64 * 256)
    for clip in range(64):
        assert cache.promise(clip, CLIP.nbytes)
        cache.keep(clip, CLIP + clip)
    places = {clip: cache.get(clip).data_ptr() for clip in range(64)}  # type: ignore[union-attr]
    assert len({*places.values()}) == 64
    cache.evict(7)
    assert cache.promise(100, CLIP.nbytes)
    cache.keep(100, CLIP)
    again = cache.get(100)
    assert again is not None
    assert again.data_ptr() == places[7]
    assert torch.equal(again, CLIP)
    assert all(torch.equal(cache.get(clip), CLIP + clip) for clip in range(64) if clip != 7)  # type: ignore[arg-type]


def test_on_a_device_whose_blocks_are_full_nothing_more_is_promised() -> None:
    """Otherwise such a clip would be decoded whole in every epoch and never kept."""
    cache = on_a_device(64 * 256)
    for clip in range(64):
        assert cache.promise(clip, CLIP.nbytes)
        cache.keep(clip, CLIP)
    assert cache.bytes + CLIP.nbytes < cache.budget, "by the bytes of the clips alone there is room"
    assert not cache.promise(64, CLIP.nbytes)
    assert not on_a_device(1 << 20).promise(1, (1 << 20) + 1)
    cache.evict(3)
    assert cache.promise(65, CLIP.nbytes)
    cache.break_promises()
    assert cache.promise(66, CLIP.nbytes)
    cache.keep(66, CLIP)
    assert cache.get(66) is not None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40)), max_size=40))
def test_on_a_device_holes_serve_whatever_fits_them(orders: list[tuple[int, int]]) -> None:
    """Clips of many lengths come and go; the kept ones stay unchanged, and no byte is lost."""
    cache, kept = on_a_device(64 * 1024), dict[int, int]()
    for clip, frames in orders:
        if clip in kept:
            cache.evict(clip)
            del kept[clip]
        elif cache.promise(clip, frames * 4 * 4 * 3):
            cache.keep(clip, torch.full((frames, 4, 4, 3), clip, dtype=torch.uint8))
            kept[clip] = frames
    for clip, frames in kept.items():
        found = cache.get(clip)
        assert found is not None
        assert found.shape[0] == frames
        assert bool((found == clip).all())
    for clip in kept:
        cache.evict(clip)
    assert cache.bytes == 0
    assert cache._arena is None or all(spans == [(0, 64 * 1024)] for spans in cache._arena._free)
