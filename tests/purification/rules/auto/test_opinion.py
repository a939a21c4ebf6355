"""What the running averages say, compared with small cases worked out by hand, and its limits."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sciu.purification.clip_state import ClipStates
from sciu.purification.rules.auto.opinion import Opinion
from sciu.purification.rules.auto.unusable import unusable_below


def opinion(average_NK: list[list[float]], given: list[int]) -> Opinion:
    return Opinion.of(np.array(average_NK, np.float16).T, ClipStates.begin(np.array(given, np.int16)))


@settings(deadline=None)
@given(
    st.integers(2, 8).flatmap(
        lambda classes: st.lists(
            st.tuples(
                st.integers(0, classes - 1),
                st.lists(st.floats(0, 1, width=16), min_size=classes, max_size=classes),
            ),
            min_size=1,
            max_size=40,
        )
    )
)
def test_whatever_was_recorded_it_holds_an_opinion(clips: list[tuple[int, list[float]]]) -> None:
    """Shares are shares, nothing is NaN; clips that were never scored are not known and have no posterior above 1."""
    labels, averages = zip(*clips, strict=True)
    told = opinion(list(averages), list(labels))
    assert np.allclose(told.likely_KN.sum(axis=0), 1, atol=1e-3)
    assert np.allclose(told.transition_KK.sum(axis=1), 1)
    assert (told.known == [sum(average) > 0 for average in averages]).all()
    for values in (told.posterior, told.information, told.grounds.margin):
        assert np.isfinite(values).all()
        assert (np.abs(values) <= 1 + 1e-6).all()
    assert 0 <= told.doubted <= 1
    assert 0 <= told.wrong <= 0.8


def test_a_label_that_is_often_wrong_so_is_believed_less() -> None:
    """Class 1 is often labelled 0: the same scores are stronger evidence against a 0 than against a 2."""
    sure = {0: [0.9, 0.05, 0.05], 1: [0.05, 0.9, 0.05], 2: [0.05, 0.05, 0.9]}
    clips = [(0, sure[0])] * 100 + [(1, sure[1])] * 60 + [(0, sure[1])] * 40 + [(2, sure[2])] * 100
    unsure = [(0, [0.2, 0.75, 0.05]), (2, [0.05, 0.75, 0.2])]
    labels, averages = zip(*clips, *unsure, strict=True)
    told = opinion(list(averages), list(labels))
    assert told.transition_KK[1, 0] > 0.3
    assert told.transition_KK[1, 2] < 0.05
    assert told.best[-2] == 1
    assert told.best[-1] == 2
    assert 0.08 < told.wrong < 40 / 300


def test_doubted_are_labels_that_the_average_of_many_epochs_is_against() -> None:
    """An average of few epochs says little, whatever the predictions."""
    old, young = [0.1, 0.8, 0.05], [0.0, 0.18, 0.0]
    assert opinion([old, young], [0, 0]).doubted == 0.5


def test_a_class_that_the_network_sees_no_more_has_a_low_standing() -> None:
    """Half of class 1 is predicted as 0; class 2 is too rare to be judged."""
    sure = {0: [0.9, 0.1, 0.0], 1: [0.1, 0.9, 0.0], 2: [0.0, 0.0, 0.9]}
    clips = [(0, sure[0])] * 100 + [(1, sure[1])] * 50 + [(1, sure[0])] * 50 + [(2, sure[0])]
    labels, averages = zip(*clips, strict=True)
    told = opinion(list(averages), list(labels))
    assert np.allclose(told.standing_K, [1.4, 0.6, 1.0], atol=0.02)
    assert told.lowest_standing == told.standing_K[1]


def test_noise_contradicts_however_sure_the_network_is_and_hard_clips_do_not() -> None:
    rng = np.random.default_rng(0)
    sureness, true = rng.uniform(0.4, 1.0, 2000), rng.integers(0, 2, 2000)
    averages = np.stack([np.where(true == k, sureness, 1 - sureness) for k in (0, 1)], axis=1).tolist()
    noisy = np.where(rng.random(2000) < 0.2, 1 - true, true)
    hard = np.where(rng.random(2000) < (1 - sureness), 1 - true, true)
    assert opinion(averages, noisy.tolist()).evenness > 0.8
    assert opinion(averages, hard.tolist()).evenness < 0.3
    assert opinion(averages, (np.array(averages).argmax(axis=1)).tolist()).evenness == 0, "nothing is contradicted"


def test_labels_of_a_class_that_is_not_learnt_are_not_doubted() -> None:
    """The network knows two classes of three: it contradicts all labels of the third, however sure it is."""
    sure = {0: [0.9, 0.1, 0.0], 1: [0.1, 0.9, 0.0]}
    clips = [(label, sure[k]) for label, k in [(0, 0)] * 100 + [(1, 1)] * 100 + [(2, 0)] * 40]
    labels, averages = zip(*clips, strict=True)
    unlearnt = opinion(list(averages), list(labels))
    assert (unlearnt.doubted, unlearnt.contradicts) == (0, False)
    learnt = opinion([*averages[:-10], *[[0.0, 0.1, 0.9]] * 10], list(labels))  # a quarter of the third is enough
    assert (learnt.doubted, learnt.contradicts) == (30 / 240, True)


def test_a_kind_of_clips_that_say_nothing_is_told_from_clips_that_thin_out() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 400)

    def averages(strength: np.ndarray) -> list[list[float]]:
        logits = np.zeros((400, 4))
        logits[np.arange(400), labels] = strength
        return (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).tolist()

    kind = opinion(averages(np.where(np.arange(400) < 80, 0.3, rng.uniform(2, 4, 400))), labels.tolist())
    limit, usual = unusable_below(kind)
    assert (np.flatnonzero(kind.information < limit) == np.arange(80)).all()
    assert limit == 0.3 * usual
    young = opinion((np.array(averages(np.where(np.arange(400) < 80, 0.1, 1.0)))).tolist(), labels.tolist())
    assert unusable_below(young)[0] == 0, "a network that has learnt little says little of anything"
    hard = opinion(averages(rng.uniform(0.9, 4.5, 400)), labels.tolist())
    assert unusable_below(hard)[0] == 0
    assert unusable_below(hard, found_before=True)[0] > 0
