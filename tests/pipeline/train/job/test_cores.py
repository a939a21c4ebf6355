"""Threads are as many as other processes leave cores, unless the user has chosen or results must be the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.train.job import cores as module
from sciu.pipeline.train.job.cores import (
    ComputeThreads,
    busy_seconds,
    compute_threads,
    threads_beside,
)
from sciu.pipeline.train.job.ranks import Ranks

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("others", "available", "most", "expected"),
    [
        (0.0, 2, 2, 2),
        (0.4, 2, 2, 2),  # a browser
        (0.66, 2, 2, 1),  # what a busy process gets beside two threads of ours
        (1.0, 2, 2, 1),
        (4.0, 2, 2, 1),
        (1.0, 16, 16, 15),
        (8.0, 16, 8, 8),  # the other rank's threads are not in the way
        (12.0, 16, 8, 4),
        (-0.3, 4, 4, 4),  # clocks do not agree to the tick
    ],
)  # fmt: skip
def test_threads_are_as_many_as_others_leave_cores(others: float, available: int, most: int, expected: int) -> None:
    assert threads_beside(others, available, most) == expected


@given(st.floats(-1, 1000), st.integers(1, 256), st.data())
def test_there_is_always_a_thread_and_never_more_than_allowed(
    others: float, available: int, data: st.DataObject
) -> None:
    most = data.draw(st.integers(1, available))
    assert 1 <= threads_beside(others, available, most) <= most
    assert threads_beside(others + 1, available, most) <= threads_beside(others, available, most)


def test_time_of_our_own_cores_is_counted_without_that_of_niced_processes(tmp_path: Path) -> None:
    ticks = tmp_path / "stat"
    ticks.write_text(
        "cpu  9 9 9 9 9 9 9 9 0 0\n"
        "cpu0 100 7000 10 50000 900 1 2 3 0 0\n"
        "cpu1 1000 0 0 0 0 0 0 0 0 0\n"
        "cpu10 5 0 0 0 0 0 0 0 0 0\n"
        "intr 1 2 3\n\n"
    )  # fmt: skip
    assert busy_seconds(ticks, on=[0, 10]) * os.sysconf("SC_CLK_TCK") == 100 + 10 + 1 + 2 + 3 + 5
    assert busy_seconds(tmp_path / "none") == 0


def test_what_this_process_computes_is_counted() -> None:
    before = busy_seconds()
    while busy_seconds() < before + 0.1:
        sum(range(1000))


class Machine:
    """Clocks, and torch's number of threads, that a test drives."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
        self.now = self.busy = self.own = 0.0
        self.threads = most
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "process_time", lambda: self.own)
        monkeypatch.setattr(module, "busy_seconds", lambda: self.busy)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(most)))
        monkeypatch.setattr(os, "nice", lambda _: 0)
        monkeypatch.setattr(torch, "get_num_threads", lambda: self.threads)
        monkeypatch.setattr(torch, "set_num_threads", lambda number: setattr(self, "threads", number))

    def passes(self, seconds: float, *, others: float, own: float) -> None:
        """Let time pass, in which others and we keep so many cores busy."""
        self.now += seconds
        self.own += own * seconds
        self.busy += (own + others) * seconds


def test_threads_give_way_after_two_looks_and_return(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, most=4)
    threads, seen = ComputeThreads(most=4), []
    for others in (0.0, 1.1, 0.0, 1.1, 1.0, 2.2, 2.1, 0.1, 0.1):
        machine.passes(1.0, others=others, own=2.0)
        threads.give_way()
        seen.append(machine.threads)
    assert seen == [4, 4, 4, 4, 3, 3, 2, 2, 4]


def test_a_look_too_soon_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, most=4)
    threads = ComputeThreads(most=4)
    for _ in range(4):
        machine.passes(0.1, others=3.0, own=1.0)
        threads.give_way()
    assert machine.threads == 4


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
    machine = Machine(monkeypatch, most=4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(module, "cores", lambda: 6)
    giving_way = compute_threads(ranks, CPU, fixed=False)
    assert machine.threads == expected
    assert (giving_way.most if giving_way else 4) == expected


@pytest.mark.parametrize(("device", "fixed"), [("cuda", False), ("cpu", True)])
def test_their_number_stays_on_a_gpu_and_where_bits_must_be_the_same(
    monkeypatch: pytest.MonkeyPatch, device: str, fixed: bool
) -> None:
    Machine(monkeypatch, most=4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert compute_threads(Ranks(), torch.device(device), fixed=fixed) is None


def test_a_niced_training_is_not_subtracted_from_a_time_that_it_is_not_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a process that is not niced it gives way, more than any other."""
    machine = Machine(monkeypatch, most=4)
    monkeypatch.setattr(os, "nice", lambda _: 10)
    threads = ComputeThreads(most=4)
    for _ in range(2):
        machine.now, machine.own, machine.busy = machine.now + 1, machine.own + 2.0, machine.busy + 2.0
        threads.give_way()
    assert machine.threads == 2


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core")
@pytest.mark.skipif(os.nice(0) > 0, reason="niced: so are the processes beside it, which then do not count")
def test_beside_a_busy_process_there_are_fewer_threads() -> None:
    """With real clocks: on two cores, both kept busy by others, one thread is left."""
    code = """if True:
        import os, subprocess, sys, torch
        from sciu.pipeline.train.job.cores import compute_threads
        from sciu.pipeline.train.job.ranks import Ranks
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
        others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
        threads = compute_threads(Ranks(), torch.device("cpu"), fixed=False)
        try:
            while torch.get_num_threads() > 1:
                torch.ones(1000).sum()
                threads.give_way()
        finally:
            [each.kill() for each in others]
        print(torch.get_num_threads())
    """
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=120
    )  # fmt: skip
    assert done.stdout.strip() == "1"


def test_subnormal_numbers_are_zero_in_all_threads_while_a_run_is_open_and_numbers_again_after_it() -> None:
    """In a process of its own: threads that torch has already started would not follow."""
    code = """if True:
        import torch
        from sciu.pipeline.train.job.cores import subnormals_as_zero
        torch.set_num_threads(2)
        with subnormals_as_zero():
            tiny = torch.full((1 << 20,), 1e-30) * 1e-9
            inside = int((tiny != 0).sum()), torch.get_num_threads()
        print(*inside, float((torch.full((1,), 1e-30) * 1e-9)[0]) > 0)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["0", "2", "True"]
