"""Draws depend only on their names, and are uniform and uncorrelated."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.feed.plan.draws import Draw, Draws

IDS = np.arange(20_000)


@given(st.lists(st.integers(0, 100_000), unique=True, min_size=1), st.integers(0, 2**63 - 1), st.integers(0, 500))
def test_a_clips_draws_do_not_depend_on_the_others(ids: list[int], seed: int, epoch: int) -> None:
    together = Draws(seed, epoch, np.array(ids)).uniforms(Draw.FRAMES, 3)
    alone = np.concatenate([Draws(seed, epoch, np.array([clip])).uniforms(Draw.FRAMES, 3) for clip in ids])
    assert np.array_equal(together, alone)


def test_seed_epoch_clip_and_purpose_each_make_a_difference() -> None:
    base = Draws(1, 1, IDS).uniform(Draw.FLIP)
    others = (
        Draws(2, 1, IDS).uniform(Draw.FLIP),
        Draws(1, 2, IDS).uniform(Draw.FLIP),
        Draws(1, 1, IDS + len(IDS)).uniform(Draw.FLIP),
        Draws(1, 1, IDS).uniform(Draw.LEFT),
        Draws(1, 1, IDS).uniforms(Draw.FLIP, 2)[:, 1],
    )
    for other in others:
        assert abs(np.corrcoef(base, other)[0, 1]) < 0.03


def test_they_are_evenly_spread() -> None:
    numbers = Draws(0, 1, IDS).uniform(Draw.ANGLE, -10, 10)
    assert -10 <= numbers.min() < -9.9
    assert 9.9 < numbers.max() < 10
    counts = np.histogram(numbers, bins=20)[0]
    assert np.all(abs(counts - 1000) < 6 * np.sqrt(1000))


def test_old_runs_resume_with_the_draws_they_began_with() -> None:
    assert Draws(7, 3, np.array([0, 1, 4321])).words(Draw.ORDER)[:, 0].tolist() == GOLDEN


GOLDEN = [7078316807013589142, 186631143104881389, 9123190130947787547]
