"""The epochs of a run are read from its log, and tell why it has ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.record.epoch_record import EpochRecord, Spent, SplitResult
from sciu.pipeline.train.record.history import ending, read_history, waited
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.record.run_state import RunState

Wars = list[float | None]


def result(war: float | None) -> SplitResult | None:
    return None if war is None else SplitResult(clips=2, unreadable=0, war=war, uar=war, recalls={}, confusion=[[2]])


def history(test: Wars, validation: Wars | None = None) -> list[EpochRecord]:
    """Epochs with these recalls; None is an epoch that was not evaluated."""
    chosen = validation or [None] * len(test)
    return [
        EpochRecord(epoch=k, loss=1.0, accuracy=0.5, lr=0.1, spent=Spent(), test=result(war), validation=result(first))
        for k, (war, first) in enumerate(zip(test, chosen, strict=True), start=1)
    ]


def test_it_is_read_from_the_log(tmp_path: Path) -> None:
    run, records = RunFolder(tmp_path), history([0.5, None])
    assert read_history(run) == []
    run.log.write_text("".join(json.dumps(record.to_json()) + "\n" for record in records))
    assert read_history(run) == records


@pytest.mark.parametrize("content", [b"{", b"[]\n", b"{}\n", b"\xff\n", b"[" * 100_000])
def test_a_damaged_log_is_a_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "log.jsonl").write_bytes(content)
    with pytest.raises(RunError, match="log.jsonl' is damaged: .*--resume") as error:
        read_history(RunFolder(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("test", "validation", "expected"),
    [
        ([], None, 0),
        ([None, None], None, 0),
        ([0.5], None, 0),
        ([0.5, 0.5, 0.4], None, 2),
        ([0.5, 0.4, 0.6], None, 0),
        ([0.5, None, 0.4, None, 0.4], None, 2),
        ([0.1, 0.2, 0.3], [0.5, 0.4, 0.4], 2),
    ],
)
def test_evaluations_without_a_better_one_are_counted(test: Wars, validation: Wars | None, expected: int) -> None:
    """An equal one is no better; the validation clips decide where there are any."""
    assert waited(history(test, validation)) == expected


@given(st.lists(st.sampled_from([None, 0.1, 0.2, 0.3]), max_size=8))
def test_it_counts_from_the_epoch_that_the_run_calls_its_best(wars: Wars) -> None:
    state, records = RunState(), history(wars)
    for record in records:
        if record.evaluated:
            state.note_best(record)
    later = [record for record in records if record.evaluated and state.best and record.epoch > state.best.epoch]
    assert waited(records) == len(later)


def test_a_run_ends_with_its_last_epoch_or_when_its_patience_does() -> None:
    falling = history([0.5, 0.4, 0.3])
    assert ending([], Settings(epochs=3, patience=2)) is None
    assert ending(falling, Settings(epochs=4)) is None
    assert ending(falling, Settings(epochs=4, patience=3)) is None
    assert ending(falling, Settings(epochs=4, patience=2)) == "patience"
    assert ending(falling, Settings(epochs=3, patience=2)) == "epochs"
