"""Every kind of label noise does what its name says."""

from __future__ import annotations

import numpy as np
import pytest

from sciu.pipeline.dataset.synth.expressions import CLASSES
from sciu.pipeline.dataset.synth.noise import KINDS, mislabel
from sciu.pipeline.errors import SettingError

LABELS = np.arange(7000) % 7
INTENSITY = np.random.default_rng(0).random(7000)
NEUTRAL = CLASSES.index("neutral")


def noisy(kind: str, count: int = 1400) -> np.ndarray:
    return mislabel(LABELS, INTENSITY, count, kind, 7, np.random.default_rng(1))


@pytest.mark.parametrize("kind", KINDS)
def test_the_count_is_exact(kind: str) -> None:
    for count in (0, 1, 1400):
        assert (noisy(kind, count) != LABELS).sum() == count


def test_pair_names_the_next_class() -> None:
    changed = noisy("pair") != LABELS
    assert np.array_equal(noisy("pair")[changed], (LABELS[changed] + 1) % 7)


def test_symmetric_spreads_evenly() -> None:
    labels = noisy("sym")
    table = np.histogram2d(LABELS, labels, bins=[range(8), range(8)])[0]
    off_diagonal = table[~np.eye(7, dtype=bool)]
    assert off_diagonal.min() > 0.4 * off_diagonal.mean()


def test_matrix_confuses_sad_with_neutral_more_than_happy_with_fear() -> None:
    labels = noisy("matrix")
    sad, happy, fear = (CLASSES.index(name) for name in ("sad", "happy", "fear"))
    assert ((sad == LABELS) & (labels == NEUTRAL)).sum() > 10 * ((happy == LABELS) & (labels == fear)).sum()
    assert (labels[happy == LABELS] != happy).sum() < 0.5 * (labels[sad == LABELS] != sad).sum()


def test_weak_calls_the_weakest_expressions_neutral() -> None:
    changed = noisy("weak") != LABELS
    assert set(noisy("weak")[changed]) == {NEUTRAL}
    assert INTENSITY[changed].max() <= INTENSITY[~changed & (LABELS != NEUTRAL)].min()


def test_runs_repeat_one_label() -> None:
    """Along the annotator's order, a wrong label is that of a clip at most seven places before it."""
    order = np.random.default_rng(1).permutation(len(LABELS))
    labels = noisy("runs")
    given, true = labels[order], LABELS[order]
    for place in np.flatnonzero(given != true):
        assert given[place] in given[max(0, place - 7) : place]


def test_more_than_can_go_wrong_is_refused() -> None:
    with pytest.raises(SettingError, match="can mislabel at most 6000 of these 7000 clips, but 6500 are requested"):
        noisy("weak", 6500)
