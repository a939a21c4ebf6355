"""A rank's part, without sorting the others': the same as by sorting all, for any words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.feed.plan import shard as module
from sciu.pipeline.feed.plan.draws import Draw, Draws, Words
from sciu.pipeline.feed.plan.shard import shard

_LAST = (1 << 64) - 1


def by_sorting(words: Words, rank: int, world: int) -> list[int]:
    """The definition."""
    return np.sort(np.array_split(np.argsort(words, kind="stable"), world)[rank]).tolist()


def parts(words: Words, world: int) -> list[list[int]]:
    return [shard(lambda span: words[span], len(words), rank, world).tolist() for rank in range(world)]


@given(st.sets(st.integers(0, 5_000_000), max_size=300), st.integers(1, 20), st.integers(0, 9))
def test_random_words(ids: set[int], world: int, seed: int) -> None:
    words = Draws(seed, 0, np.array(sorted(ids), np.int64)).words(Draw.SHARD)[:, 0]
    assert parts(words, world) == [by_sorting(words, rank, world) for rank in range(world)]


@given(st.lists(st.sampled_from([0, 1, 5, 1 << 63, _LAST]) | st.integers(0, _LAST), max_size=400), st.integers(1, 9))
def test_words_that_are_alike_or_crowded(values: list[int], world: int) -> None:
    words = np.array(values, np.uint64)
    assert parts(words, world) == [by_sorting(words, rank, world) for rank in range(world)]


def test_a_part_of_many_needs_few_of_them_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are joined as if there were one, and what is kept is a rank's part and a little more."""
    clips, world, kept = 300_000, 50, []
    words = Draws(3, 0, np.arange(clips)).words(Draw.SHARD)[:, 0]
    between = module._between

    def watched(*given: object) -> object:
        found = between(*given)  # type: ignore[arg-type]
        kept.append(len(found[1]))
        return found

    monkeypatch.setattr(module, "_between", watched)
    for rank in (0, 17, 49):
        assert shard(lambda span: words[span], clips, rank, world).tolist() == by_sorting(words, rank, world)
    assert len(kept) == 3, "once through all words"
    assert max(kept) < 2 * clips / world


def test_crowded_words_are_sorted_all() -> None:
    words = np.arange(100_000, dtype=np.uint64)
    assert parts(words, 4) == [by_sorting(words, rank, 4) for rank in range(4)]
