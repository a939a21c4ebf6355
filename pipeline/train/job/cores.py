"""The CPU's cores: how many threads compute, and how they wait where other work uses the cores, too.

torch computes in OpenMP threads, which meet at a barrier after each operation. libgomp lets them spin there for some
milliseconds: the fastest way on cores of one's own. Where a thread waits for its core, the others burn theirs until it
comes: beside one busy process on two cores a training had 3 % of its speed, and with threads that sleep 25 %. But
sleeping always costs a training that is alone a third of its speed. How threads wait is read from the environment
(OMP_WAIT_POLICY) when the library is loaded, and cannot be set afterwards.

There is one thing that libgomp itself goes by: with more threads than cores it spins a hundred times instead of 300,000
times. So while threads wait for cores, we keep a second team of OpenMP threads, which does nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from sciu.pipeline.dataset.system.cores import cores
from sciu.pipeline.train.job.ranks import Ranks

_OWN_CHOICE = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
_OWN_THREADS = Path("/proc/self/task")
_INTERVAL = 0.25  # seconds between two looks, which cost 15 us for each thread of the process
_CROWDED = 0.1  # of a core's time that threads were ready and did not run
_QUIET = 0.05
_PATIENCE = 8  # looks in a row that must be quiet before the threads spin again


def compute_in_threads(ranks: Ranks) -> int:
    """Let torch compute in as many threads as this rank has cores, unless the user has set another number; return it.

    torch goes by an affinity mask, but not by a container's limit, and torchrun sets a single thread for each rank.
    """
    chosen = os.environ.get("OMP_NUM_THREADS") and not (ranks.world > 1 and os.environ["OMP_NUM_THREADS"] == "1")
    wanted = max(1, cores() // ranks.here)
    if not chosen and wanted != torch.get_num_threads():
        torch.set_num_threads(wanted)
    return torch.get_num_threads()


@contextmanager
def sharing_cores() -> Iterator[None]:
    """Let torch's threads spin at barriers while they have their cores for themselves, and sleep while they have not.

    Results are the same, bit for bit: the number of threads does not change.
    """
    if torch.get_num_threads() == 1 or any(name in os.environ for name in _OWN_CHOICE) or waited() is None:
        yield
        return
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=[ended], name="cores", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def waited(tasks: Path = _OWN_THREADS) -> float | None:
    """Return the seconds that the process's threads have waited for a core, or None where the kernel does not tell."""
    found = []
    for task in tasks.iterdir() if tasks.exists() else ():
        try:
            found.append(int((task / "schedstat").read_text().split()[1]))
        except (FileNotFoundError, ProcessLookupError):  # the thread has ended
            continue
    return sum(found) / 1e9 if found else None


@dataclass(kw_only=True)
class Crowd:
    """Whether cores are crowded, judged by how long threads waited for them; slow to believe that they are not."""

    crowded: bool = False
    _quiet: int = 0  # looks in a row

    def look(self, share: float) -> bool:
        """Take the share of a core's time that was waited; return whether cores are crowded."""
        self._quiet = self._quiet + 1 if share < _QUIET else 0
        self.crowded = share > _CROWDED or (self.crowded and self._quiet < _PATIENCE)
        return self.crowded


@dataclass(kw_only=True)
class IdleTeam:
    """A second team of OpenMP threads, which exists or does not."""

    _thread: threading.Thread | None = None
    _no_longer: threading.Event = field(default_factory=threading.Event)

    def exist(self, wanted: bool) -> None:
        """Start the team or end it."""
        if wanted and not self._thread:
            self._no_longer.clear()
            self._thread = threading.Thread(target=self._idle, name="idle team", daemon=True)
            self._thread.start()
        elif self._thread and not wanted:
            self._no_longer.set()
            self._thread.join()  # which ends its team
            self._thread = None

    def _idle(self) -> None:
        usual = torch.get_num_threads()
        torch.set_num_threads(len(os.sched_getaffinity(0)) + 1)  # what libgomp takes for the number of cores
        torch.zeros(1 << 20).add_(1)  # large enough to be done by the team
        torch.set_num_threads(usual)  # new threads inherit it
        self._no_longer.wait()


def _watch(ended: threading.Event) -> None:
    crowd, team, before = Crowd(), IdleTeam(), waited() or 0.0
    while not ended.wait(_INTERVAL):
        now = waited() or 0.0
        team.exist(crowd.look((now - before) / _INTERVAL))
        before = now
    team.exist(False)
