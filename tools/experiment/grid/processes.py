"""Runs in their own processes: as many at once as fit, each after the run that it waits for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sciu.pipeline.dataset.system.cores import cores
from sciu.pipeline.feed.memory.free_memory import available_bytes
from sciu.tools.experiment.grid.jobs import Job

Order = dict[str, Any]
Child = subprocess.Popen[bytes]
_MEMORY = 2 * 2**30  # left for another run: on a CPU one of a small network takes 1.1 GB
_GROWING = 20.0  # seconds until a run has allocated its memory
_PATIENCE = 60.0  # seconds for a stopped run to save


@dataclass
class Outcomes:
    """How the runs ended, by id."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # and the reason
    skipped: dict[str, str] = field(default_factory=dict)  # and the run that they needed

    def lost(self, job: str) -> bool:
        """Return whether a run failed or was skipped."""
        return job in self.failed or job in self.skipped


def at_once(jobs: int | None, threads: int, *, gpu: bool) -> int:
    """Return how many runs may be active: they share the cores, but share a GPU only if `jobs` says so."""
    return jobs or (1 if gpu else max(1, cores() // threads))


def start(order: Order, log: Path, threads: int) -> Child:
    """Start a run. It gets no signal from a terminal, so that the grid stops it once and it saves."""
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    with log.open("ab") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "sciu.tools.experiment.grid.worker"], env=environment, start_new_session=True,
            stdin=subprocess.PIPE, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    assert child.stdin is not None
    child.stdin.write(json.dumps(order).encode() + b"\n")
    child.stdin.flush()
    return child


def run_all(
    jobs: Sequence[Job], begin: Callable[[Job], Child], ended: Callable[[Job, int, Outcomes], None],
    look: Callable[[Sequence[Job], Sequence[Job]], None], limit: int,
) -> Outcomes:  # fmt: skip
    """Run all; those whose input is lost are skipped. An interrupt stops the children, too.

    `look` is called often, with the runs that are active and those that are waiting.
    """
    outcomes, waiting, running = Outcomes(), list(jobs), dict[str, tuple[Job, Child]]()
    begun: list[float] = []
    try:
        while waiting or running:
            for job in [each for each in waiting if outcomes.lost(each.needs)]:
                outcomes.skipped[job.id] = job.needs
                waiting.remove(job)
            unfinished = {job.id for job in waiting} | running.keys()
            ready = next((job for job in waiting if job.needs not in unfinished), None)
            if ready and len(running) < limit and (not running or _memory_left(begun)):
                waiting.remove(ready)
                begun.append(time.monotonic())
                try:
                    running[ready.id] = ready, begin(ready)
                except (ValueError, OSError) as error:  # the other runs continue
                    outcomes.failed[ready.id] = str(error)
                continue
            for name, (job, child) in list(running.items()):
                if (code := child.poll()) is not None:
                    del running[name]
                    child.communicate()
                    ended(job, code, outcomes)
            look([job for job, _ in running.values()], waiting)
            time.sleep(0.05)
    finally:
        stop([child for _, child in running.values()])
    return outcomes


def _memory_left(begun: Sequence[float]) -> bool:
    """Return whether memory is left for another run, and for new runs that have not allocated theirs yet."""
    young = sum(time.monotonic() - moment < _GROWING for moment in begun)
    return available_bytes() > _MEMORY * (1 + young)


def stop(children: Sequence[Child]) -> None:
    """Ask children to save and end, and wait for them; end those that do not."""
    for child in children:
        child.terminate()
    until = time.monotonic() + _PATIENCE
    try:
        for child in children:
            child.wait(max(0.0, until - time.monotonic()))
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        for child in children:
            child.kill()
    for child in children:
        child.communicate()


def last_line(log: Path) -> str:
    """Return the last line that a run's process printed."""
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no output"
