"""A trace of a few steps: the batches pass unchanged, and the file is whole or absent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
    said: list[str] = []
    for batch in traced(batches(steps), steps, tmp_path / "trace.json", said.append):
        seen += batch.ids.tolist()
        torch.ones(8).cumsum(0)
    assert seen == list(range(steps))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert sum(event.get("name") == "aten::cumsum" for event in events) == min(steps, 5)
    assert said == [
        f"profile: a trace of {min(steps, 5)} steps is in '{tmp_path}/trace.json': open it at https://ui.perfetto.dev"
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["trace.json"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to look at")
def test_without_a_gpu_none_is_missed(tmp_path: Path) -> None:
    """The profiler looked for one, and printed that as an error."""
    script = "from test_trace import *\nlist(traced(batches(1), 1, Path('trace.json'), print))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("profile: a trace of 1 steps")
    assert done.stderr == ""


def test_an_epoch_without_steps_has_no_trace(tmp_path: Path) -> None:
    assert not list(traced(batches(0), 0, tmp_path / "trace.json", pytest.fail))
    assert not (tmp_path / "trace.json").exists()
