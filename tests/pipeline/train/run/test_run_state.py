"""Where a run stands comes back from plain values, and knows what is left."""

from __future__ import annotations

import numpy as np
import pytest

from sciu.pipeline.train.run.run_state import RunState


def test_there_and_back() -> None:
    state = RunState(epoch=3, step=7, world=2, done=[1, 2], faults={4: "cut off"}, spent={"seconds": 1.5})
    assert RunState(**state.content()) == state


def test_what_is_left_of_an_epoch() -> None:
    ids = np.arange(10)
    assert RunState().remaining(ids).tolist() == ids.tolist()
    assert RunState(done=[0, 9]).remaining(ids).tolist() == list(range(1, 9))
    assert RunState(step=2).share(10, 4) == 0.5
    assert RunState(done=[0, 1, 2, 3, 4], step=2).share(10, 4) == pytest.approx(0.75)


def test_the_best_is_chosen_on_validation_clips_where_there_are_any() -> None:
    state = RunState()
    for epoch, (validation, test) in enumerate([(0.5, 0.9), (0.7, 0.4), (0.6, 1.0)], start=1):
        state.note_best({"epoch": epoch, "validation": {"war": validation}, "test": {"war": test, "uar": test}})
    assert state.best == {"epoch": 2, "chosen_on": "validation", "score": 0.7, "war": 0.4, "uar": 0.4}
    state = RunState()
    for epoch, war in enumerate([0.5, 0.5], start=1):
        state.note_best({"epoch": epoch, "test": {"war": war, "uar": war}})
    assert state.best is not None
    assert (state.best["epoch"], state.best["chosen_on"]) == (1, "test")
