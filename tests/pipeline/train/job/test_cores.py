"""Threads spin while they have their cores for themselves and sleep while they have not; results stay the same."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.train.job import cores as module
from sciu.pipeline.train.job.cores import Crowd, IdleTeam, compute_in_threads, sharing_cores, waited
from sciu.pipeline.train.job.ranks import Ranks


def in_a_process(code: str, **environment: str) -> str:
    """Run code in a process in which torch has two threads, and return what it prints."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**others, **environment}, capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    return done.stdout.strip()


def test_waiting_for_a_core_is_noticed(tmp_path: Path) -> None:
    for name, text in (("1", "5000 2000000000 7"), ("2", "1 500000000 1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "schedstat").write_text(text)
    (tmp_path / "ended").mkdir()
    assert waited(tmp_path) == 2.5


def test_a_kernel_that_does_not_tell_is_noticed(tmp_path: Path) -> None:
    assert waited(tmp_path) is None
    assert waited(tmp_path / "none") is None


@pytest.mark.skipif(waited() is None, reason="this kernel does not tell how long threads wait")
def test_two_threads_on_one_core_wait_for_each_other() -> None:
    code = """if True:
        import os, threading
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        from hashlib import sha256
        from sciu.pipeline.train.job.cores import waited
        work = lambda: sha256(bytes(1 << 28))  # outside of Python's own lock
        threads = [threading.Thread(target=work) for _ in range(2)]
        before = waited()
        [each.start() for each in threads]
        while any(each.is_alive() for each in threads):
            most = waited() - before
        print(most > 0.01)
    """
    assert in_a_process(code) == "True"


def test_cores_are_crowded_at_once_and_quiet_only_after_a_while() -> None:
    crowd = Crowd()
    assert [crowd.look(share) for share in (0.0, 0.07, 0.5, 0.07, 0.2)] == [False, False, True, True, True]
    assert [crowd.look(0.01) for _ in range(9)] == [True] * 7 + [False] * 2


@given(st.lists(st.floats(0, 8), min_size=1))
def test_whatever_was_before_a_crowd_is_a_crowd(shares: list[float]) -> None:
    crowd = Crowd()
    seen = [crowd.look(share) for share in shares]
    assert all(crowded for share, crowded in zip(shares, seen, strict=True) if share > 0.1)
    assert not any(crowd.look(0.0) for _ in range(20) if not crowd.crowded)


def test_the_idle_team_comes_and_goes_with_its_threads() -> None:
    code = """if True:
        import os, torch
        from sciu.pipeline.train.job.cores import IdleTeam
        torch.zeros(1 << 20).add_(1)  # the first team exists
        torch.set_num_threads(2)  # which starts threads for XNNPACK
        count = lambda: len(os.listdir("/proc/self/task"))
        usual, team = count(), IdleTeam()
        team.exist(True)
        while count() <= usual + len(os.sched_getaffinity(0)):
            pass
        assert torch.get_num_threads() == 2
        team.exist(True)
        team.exist(False)
        team.exist(False)
        while count() != usual:
            pass
        print(torch.get_num_threads())
    """
    assert in_a_process(code, OMP_NUM_THREADS="2") == "2"


def test_results_are_the_same_bits_with_and_without_it() -> None:
    code = """if True:
        import torch
        from sciu.pipeline.train.job.cores import IdleTeam
        network = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.BatchNorm2d(16), torch.nn.Conv2d(16, 8, 3))
        pictures, team, found = torch.randn(32, 3, 40, 40), IdleTeam(), []
        for wanted in (False, True, False):
            team.exist(wanted)
            network.zero_grad()
            network(pictures).square().mean().backward()
            found.append(torch.cat([each.grad.flatten() for each in network.parameters()]))
        print(all(torch.equal(found[0], each) for each in found))
    """
    assert in_a_process(code, OMP_NUM_THREADS="2") == "True"


def watching() -> bool:
    return any(thread.name == "cores" for thread in threading.enumerate())


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(module, "waited", lambda: 0.0)


@pytest.mark.usefixtures("two_threads")
def test_the_watch_ends_with_the_block_whatever_ends_it() -> None:
    with pytest.raises(KeyError), sharing_cores():
        assert watching()
        raise KeyError
    assert not watching()


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_a_users_own_choice_is_kept(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    with sharing_cores():
        assert not watching()


@pytest.mark.usefixtures("two_threads")
def test_a_crowd_brings_the_idle_team_and_its_end_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock of waiting that this test drives."""
    clock, wanted = iter([0.0, 0.0, 1.0, *[1.0] * 1000]), []
    monkeypatch.setattr(module, "waited", lambda: next(clock))
    monkeypatch.setattr(module, "_INTERVAL", 0.001)
    monkeypatch.setattr(IdleTeam, "exist", lambda _, given: wanted.append(given))
    with sharing_cores():
        while len(wanted) < 12:
            pass
    assert wanted[:11] == [True, *[True] * 7, False, False, False]
    assert wanted[-1] is False


@pytest.mark.parametrize(
    ("environment", "ranks", "expected"),
    [
        ({}, Ranks(), 6),
        ({}, Ranks(0, 2, 2), 3),
        ({"OMP_NUM_THREADS": "1"}, Ranks(0, 2, 2), 3),  # which torchrun sets
        ({"OMP_NUM_THREADS": "1"}, Ranks(), 4),
        ({"OMP_NUM_THREADS": "2"}, Ranks(0, 2, 2), 4),
        ({}, Ranks(0, 16, 16), 1),
    ],
)
def test_each_rank_computes_on_its_share_of_the_cores(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], ranks: Ranks, expected: int
) -> None:
    """Or in the number of threads that the user has set: here torch has 4."""
    threads = [4]
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(module, "cores", lambda: 6)
    assert compute_in_threads(ranks) == expected
