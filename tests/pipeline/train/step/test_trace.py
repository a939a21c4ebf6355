"""A trace of a few steps: the batches pass unchanged, and the file is whole or absent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.train.step.trace import traced


def batches(count: int) -> Iterator[ClipBatch]:
    for number in range(count):
        yield ClipBatch(torch.tensor([number]), torch.zeros(1, 1, 2, 2, 3, dtype=torch.uint8))


@pytest.mark.parametrize("steps", [1, 3, 8, 20])
def test_a_trace_of_a_short_or_a_long_epoch(tmp_path: Path, steps: int) -> None:
    seen = []
    for batch in traced(batches(steps), steps, tmp_path / "trace.json"):
        seen += batch.ids.tolist()
        torch.ones(8).cumsum(0)
    assert seen == list(range(steps))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert sum(event.get("name") == "aten::cumsum" for event in events) == min(steps, 5)
    assert [path.name for path in tmp_path.iterdir()] == ["trace.json"]


def test_an_epoch_without_steps_has_no_trace(tmp_path: Path) -> None:
    assert not list(traced(batches(0), 0, tmp_path / "trace.json"))
    assert not (tmp_path / "trace.json").exists()
