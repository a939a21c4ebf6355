"""The available memory is the least of the machine's and of every enclosing group's limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from sciu.pipeline.feed.memory import free_memory


def test_the_machine_has_some() -> None:
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert 0 < free_memory.available_bytes() <= total


def test_a_jobs_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = tmp_path / "slurm/job_7"
    job.mkdir(parents=True)
    (job / "memory.max").write_text("max\n")
    for name, value in {"max": "1000000", "current": "900000", "stat": "anon 5\ninactive_file 50000\n"}.items():
        (tmp_path / "slurm" / f"memory.{name}").write_text(value)
    monkeypatch.setattr(free_memory, "_GROUPS", tmp_path)
    monkeypatch.setattr(free_memory, "_own_groups", lambda: [job, job.parent])
    assert free_memory.available_bytes() == 150_000
