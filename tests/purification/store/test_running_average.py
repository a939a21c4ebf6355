"""The running average is .7 p + .3 P for each epoch in which a clip is scored, and that of every epoch stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scratch import trying

from sciu.purification.errors import DamagedError
from sciu.purification.store import layout
from sciu.purification.store.records import Records
from sciu.purification.store.running_average import average, normalised, running_at
from sciu.purification.store.store import Store

CLIPS, CLASSES = 5, 3
ROWS = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.25, 0.25, 0.5], [0, 0.125, 0.875]])
EPOCHS = st.lists(st.dictionaries(st.integers(0, CLIPS - 1), st.integers(0, len(ROWS) - 1), min_size=1), max_size=6)


def records_of(scored: dict[int, int]) -> Records:
    """An epoch's scores: which row each clip has."""
    records, ids = Records(CLIPS, CLASSES), [*scored]
    records.put(ids, np.ones(len(ids)), ROWS[[scored[clip] for clip in ids]], np.ones(CLIPS, np.bool_), 1)
    return records


@settings(deadline=None)
@given(EPOCHS, st.integers(1, CLIPS))
def test_it_is_the_formula_and_stays(scratch: Store, epochs: list[dict[int, int]], block: int) -> None:
    """Whatever the size of the blocks that it is stored in."""
    known = [np.zeros((CLASSES, CLIPS), np.float16)]
    with trying(scratch) as transaction, pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "BLOCK", block)
        for epoch, scored in enumerate(epochs, start=1):
            found_KN = average(transaction, records_of(scored), epoch, clips=CLIPS, classes=CLASSES)
            expected_KN = known[-1].astype(np.float64)
            for clip, row in scored.items():
                expected_KN[:, clip] = 0.7 * expected_KN[:, clip] + 0.3 * ROWS[row]
            assert found_KN.dtype == np.float16
            assert np.allclose(found_KN, expected_KN, rtol=1e-3, atol=1e-6)
            known.append(found_KN)
        for epoch, then_KN in enumerate(known, start=1):
            again_KN = running_at(transaction, epoch, clips=CLIPS, classes=CLASSES)
            assert again_KN.tobytes() == then_KN.tobytes()


@settings(deadline=None)
@given(st.lists(st.sampled_from(range(len(ROWS))), min_size=1, max_size=8))
def test_its_sum_says_how_much_it_rests_on(scratch: Store, rows: list[int]) -> None:
    with trying(scratch) as transaction:
        for epoch, row in enumerate(rows, start=1):
            running_KN = average(transaction, records_of({2: row}), epoch, clips=CLIPS, classes=CLASSES)
    assert float(running_KN[:, 2].sum()) == pytest.approx(1 - 0.7 ** len(rows), abs=2e-3)
    assert not running_KN[:, [0, 1, 3, 4]].any()
    mean_KN = normalised(running_KN)
    assert mean_KN[:, 2].sum() == pytest.approx(1)
    assert np.isnan(mean_KN[:, [0, 1, 3, 4]]).all(), "nothing is known of a clip that was never scored"


def test_the_first_epoch_knows_nothing(scratch: Store) -> None:
    with trying(scratch) as transaction:
        assert not running_at(transaction, 1, clips=CLIPS, classes=CLASSES).any()


def test_an_average_that_is_gone_is_not_one_of_nothing(scratch: Store) -> None:
    with trying(scratch) as transaction:
        average(transaction, records_of({0: 0}), 1, clips=CLIPS, classes=CLASSES)
        running_at(transaction, 2, clips=CLIPS, classes=CLASSES)
        with pytest.raises(DamagedError, match="running/00003/0000.*missing"):
            running_at(transaction, 3, clips=CLIPS, classes=CLASSES)
        with pytest.raises(DamagedError, match="running/00003/0000.*missing"):
            average(transaction, records_of({0: 0}), 3, clips=CLIPS, classes=CLASSES)


def test_averages_of_other_classes_are_refused(scratch: Store) -> None:
    with trying(scratch) as transaction:
        average(transaction, records_of({0: 0}), 1, clips=CLIPS, classes=CLASSES)
        with pytest.raises(DamagedError, match="running/00002/0000.*4 classes"):
            running_at(transaction, 2, clips=CLIPS, classes=4)
