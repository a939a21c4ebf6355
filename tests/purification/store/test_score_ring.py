"""The ring holds the last scores of every clip, whichever epochs it missed, and weighs those since it came in.

Held against a list of all scores that a clip ever had.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scratch import trying

from sciu.purification.clip_state import ClipStates
from sciu.purification.errors import DamagedError
from sciu.purification.store import layout
from sciu.purification.store.evidence import Evidence
from sciu.purification.store.records import Records
from sciu.purification.store.score_plane import Plane
from sciu.purification.store.score_ring import add_and_weigh, mean_probabilities, scores_of, weigh_stored
from sciu.purification.store.store import Store, Transaction

CLIPS, CLASSES = 5, 3
LABELS = np.array([0, 1, 2, 1, -1], np.int16)
ROWS = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.0), (0.25, 0.25, 0.5), (0.0, 0.125, 0.875), (0.125, 0.75, 0.125))
Score = tuple[int, float, list[float]]  # epoch, weight, probabilities: as `scores_of` has them
EPOCH = st.dictionaries(
    st.integers(0, CLIPS - 1), st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from(ROWS)), min_size=1
)
"""The clips that are scored in an epoch."""


@dataclass
class Clip:
    """What the ring should know of a clip."""

    label: int
    scores: list[Score] = field(default_factory=list)
    fresh: int = 0  # scores since it came in

    def last(self, count: int) -> list[Score]:
        return self.scores[-count:] if count else []


def put(transaction: Transaction, states: ClipStates, epoch: int, scored: Any, **how: Any) -> Evidence:
    """End an epoch."""
    records, ids = Records(CLIPS, CLASSES), [*scored]
    weights, probs = zip(*scored.values(), strict=True)
    records.put(ids, np.array(weights), np.array(probs), np.ones(CLIPS, np.bool_), epoch)
    return add_and_weigh(transaction, states, records, epoch, **how)


def require_same(found: Evidence, clips: list[Clip], used: list[list[Score]], *, weighted: bool) -> None:
    """Hold evidence against its definition."""
    for clip, (known, scores) in enumerate(zip(clips, used, strict=True)):
        assert found.scores[clip] == len(scores)
        tops = {int(np.argmax(probs)) for _, _, probs in scores}
        factors = [weight if weighted else 1.0 for _, weight, _ in scores]
        confidence = mean([factor * max(probs) for factor, (_, _, probs) in zip(factors, scores, strict=True)])
        own = mean([factor * probs[max(known.label, 0)] for factor, (_, _, probs) in zip(factors, scores, strict=True)])
        assert found.confidence[clip] == pytest.approx(confidence)
        assert found.own[clip] == pytest.approx(own)
        assert found.weight[clip] == pytest.approx(mean([weight for _, weight, _ in scores]))
        if len(tops) == 1:
            assert found.predicted[clip] == tops.pop()
            assert found.delta[clip] == pytest.approx(confidence - own)
        else:
            assert found.predicted[clip] == -1, "predictions that differ are none"
            assert np.isnan(found.delta[clip])


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


@settings(deadline=None)
@given(
    epochs=st.lists(st.tuples(EPOCH, st.sets(st.integers(0, CLIPS - 1), max_size=2)), min_size=1, max_size=9),
    window=st.integers(1, 4),
    weighted=st.booleans(),
    block=st.integers(1, CLIPS),
)
def test_it_is_a_list_of_the_last_scores(
    scratch: Store, epochs: list[tuple[dict[int, Any], set[int]]], window: int, weighted: bool, block: int
) -> None:
    """After each epoch some clips leave and come back, and are to be judged by new scores only."""
    states, clips = ClipStates.begin(LABELS), [Clip(label) for label in LABELS.tolist()]
    with trying(scratch) as transaction, pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "BLOCK", block)
        for epoch, (scored, back) in enumerate(epochs, start=1):
            found = put(transaction, states, epoch, scored, window=window, weighted=weighted)
            for clip, (weight, probs) in scored.items():
                clips[clip].scores.append((epoch, weight, [*probs]))
                clips[clip].fresh += 1
            used = [known.last(min(known.fresh, window)) for known in clips]
            require_same(found, clips, used, weighted=weighted)
            for clip in back:
                clips[clip].fresh = states.fresh[clip] = 0
        found = weigh_stored(transaction, states, classes=CLASSES, window=window, weighted=weighted)
        require_same(found, clips, [known.last(window) for known in clips], weighted=weighted)
        mean_KN = mean_probabilities(transaction, states, classes=CLASSES, window=window)
        for clip, known in enumerate(clips):
            stored = scores_of(transaction, states, clip, classes=CLASSES, window=window)
            assert stored == known.last(window + 1)
            probs = [score[2] for score in known.last(window)]
            expected = np.mean(probs, axis=0) if probs else np.full(CLASSES, np.nan)
            assert np.allclose(mean_KN[:, clip], expected, equal_nan=True)


def test_clips_that_are_always_scored_touch_one_plane_an_epoch(scratch: Store) -> None:
    """And the ring comes round."""
    states, everybody, span = ClipStates.begin(LABELS), dict.fromkeys(range(CLIPS), (1.0, ROWS[0])), slice(0, CLIPS)
    with trying(scratch) as transaction:
        for epoch in range(1, 6):
            put(transaction, states, epoch, everybody, window=2, weighted=True)
            planes = [layout.load_plane(transaction, plane, 0, span, CLASSES) for plane in range(3)]
            assert {int(plane.epoch_N[0]) for plane in planes} == {max(epoch - 2, 0), max(epoch - 1, 0), epoch}
            assert sum(name.startswith("plane/") for name in transaction.keys()) == min(epoch, 3)  # noqa: SIM118


@pytest.mark.parametrize("look", ["add", "weigh", "mean", "scores"])
def test_scores_that_are_counted_on_and_gone_are_damage(scratch: Store, look: str) -> None:
    states, shape = ClipStates.begin(LABELS), {"classes": CLASSES, "window": 2}
    with trying(scratch) as transaction:
        for epoch in (1, 2):
            put(transaction, states, epoch, {0: (1.0, ROWS[0])}, window=2, weighted=True)
        layout.save_plane(transaction, 0, 0, Plane.empty(CLIPS, CLASSES))
        with pytest.raises(DamagedError, match="plane/00/0000.*missing"):
            if look == "add":
                put(transaction, states, 3, {1: (1.0, ROWS[0])}, window=2, weighted=True)
            elif look == "weigh":
                weigh_stored(transaction, states, **shape, weighted=True)
            elif look == "mean":
                mean_probabilities(transaction, states, **shape)
            else:
                scores_of(transaction, states, 0, **shape)
