"""A run in one object: the last evaluation, the best epoch, and every epoch's cost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.record.epoch_record import EpochRecord, PurifyResult, Spent, SplitResult
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.record.run_state import BestEpoch, RunState
from sciu.pipeline.train.report.summary import Summary

SETTINGS = Settings(method="sciu", backbone="tiny_lstm", pipeline="torch", seed=5, fold=2)


def result(war: float) -> SplitResult:
    return SplitResult(clips=4, unreadable=0, war=war, uar=war / 2, recalls={"sad": war}, confusion=[[4]])


def record(epoch: int, test: float | None = None, detection: dict[str, Any] | None = None) -> EpochRecord:
    counts = {"clips": 20, "pruned": epoch, "corrected": 2 * epoch, "quarantined": 3 * epoch, "training": 9}
    return EpochRecord(
        epoch=epoch, loss=1.5, accuracy=0.5, lr=0.1,
        spent=Spent(seconds=2.00049 * epoch, waiting=1.0, clips=10 + epoch, decoded=4 * epoch, cached=6),
        test=None if test is None else result(test),
        purify=PurifyResult(counts=counts, thresholds={}, spared={}, classes={}, detection=detection),
    )  # fmt: skip


def summary(*history: EpochRecord, best: BestEpoch | None = None) -> Summary:
    state = RunState(epoch=len(history), history=[*history], best=best)
    return Summary.of(SETTINGS, state, dataset="faces", device="cpu")


def test_what_was_run_and_what_came_of_it() -> None:
    best = BestEpoch(epoch=1, chosen_on="validation", score=0.9, war=0.4, uar=0.3)
    found = summary(record(1, 0.4), record(2, 0.6), best=best).to_json()
    assert found == {
        "method": "sciu", "backbone": "tiny_lstm", "pipeline": "torch", "seed": 5, "device": "cpu",
        "dataset": "faces", "fold": 2, "epochs_done": 2, "war": 0.6, "uar": 0.3,
        "war_best": 0.4, "uar_best": 0.3, "best_epoch": 1, "best_chosen_on": "validation",
        "train_clips": 20, "pruned": 2, "corrected": 4, "quarantined": 6,
        "clips_per_epoch": [11, 12], "decoded_per_epoch": [4, 8], "cached_per_epoch": [6, 6],
        "seconds_per_epoch": [2.0, 4.001], "clips_per_second": 3.0, "ended": None,
        "seconds": {
            "training": 6.001, "waiting for data": 2.0, "reading": 0, "decoding": 0, "rendering": 0, "evaluation": 0,
            "checkpoints": 0, "purifier": 0, "reports": 0,
        },
    }  # fmt: skip
    assert json.loads(json.dumps(found)) == found


def test_the_recalls_are_of_the_last_evaluation_even_if_epochs_without_one_followed() -> None:
    found = summary(record(1, 0.2), record(2, 0.8), record(3), record(4))
    assert (found.war, found.uar, found.epochs_done) == (0.8, 0.4, 4)


def test_before_the_first_evaluation_there_are_none() -> None:
    found = summary(record(1))
    assert (found.war, found.uar, found.war_best, found.uar_best) == (None, None, None, None)
    assert (found.best_epoch, found.best_chosen_on) == (None, None)


def test_a_recall_of_nothing_is_a_number() -> None:
    assert summary(record(1, 0.0)).war == 0.0


@pytest.mark.parametrize("known", [True, False])
def test_detection_is_there_where_the_truth_is_known(known: bool) -> None:
    """That of the last epoch."""
    last = record(2, 0.5, {"label_accuracy_after": 0.9} if known else None)
    content = summary(record(1, 0.5, {"label_accuracy_after": 0.1}), last).to_json()
    assert content.get("detection") == ({"label_accuracy_after": 0.9} if known else None)
    assert ("detection" in content) == known


def test_an_epoch_that_was_interrupted_counts_with_what_came_before() -> None:
    spent = Spent(seconds=1.0, clips=8) + Spent(seconds=3.0, clips=4)
    found = summary(replace(record(1), spent=spent))
    assert (found.clips_per_epoch, found.seconds_per_epoch, found.clips_per_second) == ([12], [4.0], 3.0)


@pytest.mark.parametrize(("epochs", "ended"), [(1, "epochs"), (2, None)])
def test_it_says_why_a_run_has_ended(epochs: int, ended: str | None) -> None:
    """An earlier version did not."""
    state = RunState(epoch=1, history=[record(1, 0.4)])
    found = Summary.of(replace(SETTINGS, epochs=epochs), state, dataset="faces", device="cpu")
    assert found.ended == ended
    content = found.to_json()
    assert Summary.from_json(json.loads(json.dumps(content))) == found
    del content["ended"]
    assert Summary.from_json(content).ended is None


@pytest.mark.parametrize("detection", [None, {"label_accuracy_after": 0.5, "low_quality": {"precision": None}}])
def test_there_and_back(tmp_path: Path, detection: dict[str, Any] | None) -> None:
    given = summary(record(1, 0.4, detection))
    (tmp_path / "summary.json").write_text(json.dumps({**given.to_json(), "of a later version": 1}))
    assert Summary.load(RunFolder(tmp_path)) == given


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "Expecting value"), ("[]", "the summary must be an object"), ("{}", "method is missing"),
        ("[" * 100_000, "recursion"), ('{"war": ' + "9" * 5000 + "}", "Exceeds the limit"),
        ({"war": "high"}, "war must be a number, but is 'high'"), ({"clips_per_epoch": []}, "clips_per_epoch is empty"),
        ({"clips_per_epoch": 7}, "clips_per_epoch must be a list"),
        ({"detection": {"low_quality": {"recall": "x"}}}, "detection.low_quality.recall must be a number"),
    ],
)  # fmt: skip
def test_a_damaged_summary_is_a_line(tmp_path: Path, text: str | dict[str, Any], fault: str) -> None:
    content = text if isinstance(text, str) else json.dumps({**summary(record(1, 0.4)).to_json(), **text})
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(RunError, match=f"summary.json' is damaged: .*{fault}.*--resume --json"):
        Summary.load(RunFolder(tmp_path))


def test_where_time_went_in_a_line() -> None:
    spent = Spent(seconds=6.0, waiting=3.0, reading=0.5, evaluating=3.0, purifying=1.0)
    found = summary(replace(record(1), spent=spent))
    assert found.total_seconds == 10.0
    assert found.where_time_went() == (
        "10.0 s: training 60.0% (of it waiting for data 30.0%, reading 5.0%, decoding 0.0%, rendering 0.0%),"
        " evaluation 30.0%, checkpoints 0.0%, purifier 10.0%, reports 0.0%"
    )
    of_before = Summary.from_json({**found.to_json(), "seconds": {}})
    assert of_before.total_seconds == 6.0
