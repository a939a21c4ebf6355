"""The state of a run is restored from plain values, and knows which clips are left."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sciu.pipeline.train.record.epoch_record import EpochRecord, PurifyResult, Spent, SplitResult
from sciu.pipeline.train.record.run_state import BestEpoch, RunState


def result(war: float) -> SplitResult:
    return SplitResult(clips=2, unreadable=0, war=war, uar=war, recalls={"sad": war}, confusion=[[2]])


def record(epoch: int, test: float | None, validation: float | None = None) -> EpochRecord:
    return EpochRecord(
        epoch=epoch, loss=1.5, accuracy=0.5, lr=0.1, spent=Spent(seconds=2.0, waiting=0.5, clips=10, decoded=4),
        test=None if test is None else result(test), validation=None if validation is None else result(validation),
    )  # fmt: skip


PURIFIED = PurifyResult(
    counts={"clips": 10, "pruned": 1}, thresholds={"prune_below": 0.5}, spared={"sad": 1},
    classes={"sad": {"training": 9}}, detection={"label_accuracy_after": 1.0},
)  # fmt: skip


def test_there_and_back() -> None:
    """Through JSON, as in the log, with an evaluation and without one."""
    state = RunState(epoch=3, step=7, world=2, done=[1, 2], faults={4: "cut off"}, spent=Spent(seconds=1.5))
    assert RunState.from_json(state.to_json()) == state
    state = RunState(epoch=2, measured=record(2, 0.5, 0.25), history=[replace(record(1, None), purify=PURIFIED)])
    state.note_best(record(2, 0.5, 0.25))
    content = json.loads(json.dumps(state.to_json()))
    assert RunState.from_json(content) == state
    for place in (content, content["spent"], content["best"], content["measured"]["test"]):
        place["of a later version"] = {"more": 1}
    content["history"][0]["purify"]["of a later version"] = {"more": 1}
    assert RunState.from_json(content) == state


def test_a_record_is_a_flat_line_of_the_log() -> None:
    line = replace(record(1, 0.5), purify=PURIFIED).to_json()
    assert (line["epoch"], line["rate"], line["clips"], line["clips_per_second"]) == (1, 0.1, 10, 5.0)
    assert (line["purify"]["pruned"], line["test"]["war"]) == (1, 0.5)
    assert "validation" not in line


def test_an_epoch_that_is_ended_twice_is_in_the_history_once() -> None:
    state = RunState(epoch=2, measured=record(2, 0.5), history=[record(1, 0.5)])
    assert state.end_epoch(PURIFIED) == state.end_epoch(PURIFIED) == state.history[1]
    assert len(state.history) == 2


def test_what_is_left_of_an_epoch() -> None:
    ids = np.arange(10)
    assert RunState().remaining(ids).tolist() == ids.tolist()
    assert RunState(done=[0, 9]).remaining(ids).tolist() == list(range(1, 9))
    assert RunState(step=2).share(10, 4) == 0.5
    assert RunState(done=[0, 1, 2, 3, 4], step=2).share(10, 4) == pytest.approx(0.75)


def test_the_best_is_chosen_on_validation_clips_where_there_are_any() -> None:
    state = RunState()
    for epoch, (validation, test) in enumerate([(0.5, 0.9), (0.7, 0.4), (0.6, 1.0)], start=1):
        state.note_best(record(epoch, test, validation))
    assert state.best == BestEpoch(epoch=2, chosen_on="validation", score=0.7, war=0.4, uar=0.4)
    state = RunState()
    for epoch, war in enumerate([0.5, 0.5], start=1):
        state.note_best(record(epoch, war))
    assert state.best is not None
    assert (state.best.epoch, state.best.chosen_on) == (1, "test")


def test_the_time_of_every_stage_is_in_the_record_of_its_epoch_that_of_a_report_in_the_next() -> None:
    state = RunState(measured=record(1, 0.5), spent=record(1, 0.5).spent)
    for stage in ("evaluating", "saving", "purifying"):
        with state.timed(stage):
            pass
    first = state.end_epoch(PURIFIED).spent
    with state.timed("reporting"):
        pass
    whole = state.spent
    state.begin_next()
    assert (first.seconds, first.reporting) == (2.0, 0.0)
    assert min(first.evaluating, first.saving, first.purifying) > 0
    assert state.spent == Spent(reporting=whole.reporting)
    state.measured = record(2, 0.5)
    assert state.end_epoch(PURIFIED).spent.reporting == whole.reporting
    state.begin_next()
    assert state.spent == Spent()


def test_a_stage_that_fails_has_taken_its_time_too() -> None:
    state = RunState()
    with pytest.raises(OSError, match="full"), state.timed("saving"):
        raise OSError("full")
    assert state.spent.saving > 0
