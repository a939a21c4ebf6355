"""Faults of worker processes: they die, outlive the feed, or fill their shared memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from feeding import CPU, SIZE, plan_of

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.feed.errors import FeedError
from sciu.pipeline.feed.torch_feed import TorchFeed, _Executor


def test_a_worker_that_dies_is_told_in_one_line(zoo: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    with TorchFeed(dataset=zoo, device=CPU, size=SIZE, threads=1) as feed:
        assert isinstance(feed, TorchFeed)
        batches = feed.batches(plan_of(zoo, batch_size=1))
        next(batches)
        feed._loader._iterator._workers[0].kill()  # type: ignore[union-attr]
        with pytest.raises(FeedError, match="a worker process died or hangs: .* Fewer workers"):
            list(batches)


def test_workers_end_with_a_command_that_was_killed(faces: Dataset) -> None:
    code = f"import sys; sys.path.insert(0, 'tests'); import feeding; feeding.wait_in_mid_epoch({str(faces.folder)!r})"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        workers = [int(pid) for pid in command.stdout.readline().split()]
        command.kill()
    assert len(workers) == 2
    for _ in range(100):
        if not any(Path(f"/proc/{pid}").exists() for pid in workers):
            return
        time.sleep(0.1)
    pytest.fail("workers outlive their command")


def test_full_shared_memory_is_told_before_torch_loses_a_batch(monkeypatch: pytest.MonkeyPatch, faces: Dataset) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(64, 64, 0))
    answer = _Executor(faces, SIZE)[plan_of(faces).step(0)]
    assert isinstance(answer, FeedError)
    assert "/dev/shm must have 98,304 bytes free for a batch, but has 0." in str(answer)
