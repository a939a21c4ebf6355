"""How many cores a process may use: an affinity mask and the limits of control groups, of both versions."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from sciu.pipeline.dataset.system import cores as module
from sciu.pipeline.dataset.system.cores import cores, quota


def limit(root: Path, lines: str) -> float:
    own = root / "own"
    own.write_text(lines)
    return quota(root, own)


@pytest.mark.parametrize(("text", "expected"), [("150000 100000", 1.5), ("max 100000", math.inf), ("", math.inf)])
def test_a_limit_of_version_2_is_read(tmp_path: Path, text: str, expected: float) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job/cpu.max").write_text(text)
    assert limit(tmp_path, "0::/job\n") == expected


def test_the_smallest_limit_of_the_groups_around_it_holds(tmp_path: Path) -> None:
    (tmp_path / "slurm/job/step").mkdir(parents=True)
    (tmp_path / "slurm/job/step/cpu.max").write_text("max 100000")
    (tmp_path / "slurm/job/cpu.max").write_text("400000 100000")
    (tmp_path / "slurm/cpu.max").write_text("800000 100000")
    assert limit(tmp_path, "0::/slurm/job/step\n") == 4


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("200000 100000")
    assert limit(tmp_path, "0::/\n") == 2


@pytest.mark.parametrize(("quota_us", "expected"), [("250000", 2.5), ("-1", math.inf)])
def test_a_limit_of_version_1_is_read(tmp_path: Path, quota_us: str, expected: float) -> None:
    group = tmp_path / "cpu,cpuacct" / "docker"
    group.mkdir(parents=True)
    (group / "cpu.cfs_quota_us").write_text(quota_us)
    (group / "cpu.cfs_period_us").write_text("100000")
    assert limit(tmp_path, "4:memory:/docker\n3:cpu,cpuacct:/docker\n0::/\n") == expected


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert quota(tmp_path, tmp_path / "none") == math.inf


@pytest.mark.parametrize(("allowed", "expected"), [(0.5, 1), (1.5, 2), (math.inf, 3), (64, 3)])
def test_cores_are_those_of_the_mask_within_the_limit(
    monkeypatch: pytest.MonkeyPatch, allowed: float, expected: int
) -> None:
    """A share of a core is rounded up: a thread more costs less than a core that is idle."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 7})
    monkeypatch.setattr(module, "quota", lambda: allowed)
    assert cores() == expected
