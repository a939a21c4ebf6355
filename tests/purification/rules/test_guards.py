"""Guards spare the best of the clips to prune, and count them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sciu.purification.clip_state import ClipStates, Status
from sciu.purification.rules.guards import Relabelling, guard, spare_classes, spare_shrinking


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1), st.booleans(), st.booleans()), min_size=1, max_size=40),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    st.sampled_from([0.0, 0.25, 0.6, 1.0]),
)
def test_no_class_and_no_whole_falls_below_its_share(
    clips: list[tuple[int, float, bool, bool]], keep_per_class: float, max_pruned: float
) -> None:
    labels, confidence, already, wanted = (np.array(column) for column in zip(*clips, strict=True))
    states = ClipStates.begin(labels.astype(np.int16))
    states.status[already] = Status.PRUNED
    wanted = wanted & ~already
    guarded = guard(wanted, confidence, states, keep_per_class=keep_per_class, max_pruned=max_pruned)
    assert not (guarded.prune & ~wanted).any()
    assert sum(guarded.spared.values()) == (wanted & ~guarded.prune).sum()
    for k in range(3):
        of_class = labels == k
        left = (of_class & ~already & ~guarded.prune).sum()
        if (of_class & guarded.prune).any():
            assert left >= math.ceil(keep_per_class * of_class.sum())
        spared = wanted & ~guarded.prune & of_class
        if not guarded.spared.get("all") and spared.any() and (guarded.prune & of_class).any():
            assert confidence[spared].min() >= confidence[guarded.prune & of_class].max()
    if guarded.prune.any():
        assert (already | guarded.prune).sum() <= max_pruned * len(labels)


def test_without_need_nothing_is_spared() -> None:
    states = ClipStates.begin(np.zeros(10, np.int16))
    wanted = np.arange(10) < 5
    guarded = guard(wanted, np.arange(10) / 10, states, keep_per_class=0.5, max_pruned=0.6)
    assert guarded.prune.tolist() == wanted.tolist()
    assert guarded.spared == {}


def test_the_best_of_those_to_prune_are_spared() -> None:
    states = ClipStates.begin(np.array([0] * 6 + [1] * 6, np.int16))
    confidence = np.array([5, 4, 3, 2, 1, 0, 0, 1, 2, 3, 4, 5]) / 10
    wanted = np.ones(12, np.bool_)
    by_class = guard(wanted, confidence, states, keep_per_class=0.5, max_pruned=1)
    assert np.flatnonzero(by_class.prune).tolist() == [3, 4, 5, 6, 7, 8]
    assert by_class.spared == {"0": 3, "1": 3}
    by_all = guard(wanted, confidence, states, keep_per_class=0, max_pruned=0.25)
    assert np.flatnonzero(by_all.prune).tolist() == [4, 5, 6], "of equals the lower id goes first"
    assert by_all.spared == {"all": 9}


def test_shares_are_not_off_by_rounding() -> None:
    states = ClipStates.begin(np.zeros(100, np.int16))
    wanted, confidence = np.ones(100, np.bool_), np.arange(100) / 100
    assert guard(wanted, confidence, states, keep_per_class=0.07, max_pruned=1).prune.sum() == 93
    assert guard(wanted, confidence, states, keep_per_class=0, max_pruned=0.29).prune.sum() == 29


def test_a_class_keeps_its_share_of_clips_the_least_sure_first() -> None:
    given = np.array([0] * 10 + [1] * 10, np.int16)
    sureness = np.arange(20) / 20
    wanted, training, after = np.arange(20) < 8, np.ones(20, bool), np.ones(20, np.int16)
    change = Relabelling(wanted=wanted, sureness=sureness, training=training, given=given, before=given, after=after)
    correct, spared = spare_classes(change, 0.5)
    assert np.flatnonzero(correct).tolist() == [3, 4, 5, 6, 7]
    assert spared == {"0": 3}


def test_without_a_share_only_a_class_that_would_be_emptied_is_spared() -> None:
    given = np.array([0] * 10 + [1] * 10, np.int16)
    sureness, training, after = np.arange(20) / 20, np.ones(20, bool), np.ones(20, np.int16)
    most, every = np.arange(20) < 9, np.arange(20) < 10
    change = Relabelling(wanted=every, sureness=sureness, training=training, given=given, before=given, after=after)
    assert spare_classes(replace(change, wanted=most), 0.0)[1] == {}
    correct, spared = spare_classes(change, 0.0)
    assert np.flatnonzero(~correct & every).tolist() == [0]
    assert spared == {"0": 1}


@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(1, 60), st.sampled_from([0.5, 0.85, 1.0]))
def test_no_class_shrinks_below_its_share_and_only_the_least_sure_are_spared(
    seed: int, classes: int, clips: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    given_labels, after = rng.integers(0, classes, (2, clips)).astype(np.int16)
    training, sureness = rng.random(clips) < 0.9, rng.random(clips)
    wanted = training & (rng.random(clips) < 0.7) & (given_labels != after)
    change = Relabelling(
        wanted=wanted, sureness=sureness, training=training, given=given_labels, before=given_labels, after=after
    )
    correct, spared = spare_shrinking(change, share)
    assert not (correct & ~wanted).any()
    assert sum(spared.values()) == (wanted & ~correct).sum()
    label = np.where(correct, after, given_labels)
    for k in range(classes):
        of_class = training & (given_labels == k)
        assert (label[training] == k).sum() >= share * of_class.sum() - 1e-9
        for to in range(classes):
            leaves, stays = (sureness[of_class & wanted & (after == to) & each] for each in (correct, ~correct))
            assert not len(leaves) or not len(stays) or leaves.min() >= stays.max()


def test_a_shortage_is_made_up_for_where_clips_abound() -> None:
    """Classes 0 and 1 swap clips, and one of 0 moves to 2: only that one is spared, not every swap."""
    given_labels = np.repeat([0, 1, 2], 100).astype(np.int16)
    after = given_labels.copy()
    after[:50], after[100:134], after[50:55] = 1, 0, 2
    wanted, sureness = given_labels != after, np.linspace(0, 1, 300)
    everyone = np.ones(300, np.bool_)
    change = Relabelling(
        wanted=wanted, sureness=sureness, training=everyone, given=given_labels, before=given_labels, after=after
    )
    correct, spared = spare_shrinking(change, 0.8)
    assert spared == {"0": 1}
    assert (wanted & ~correct).sum() == 1
