"""How long the rest of a grid will take on this machine, by the epochs that its runs have trained so far."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from statistics import fmean, median

from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.record.history import read_history
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.tools.command import duration, say
from sciu.tools.experiment.grid.jobs import Job, Places

_INTERVAL = 2.0  # seconds between two looks, which read the runs' logs
_LEAST = 20.0  # seconds: it is not worth a line that less is left
_FEWEST = 3  # epochs from which a run's pace is known: the first one is slower


@dataclass
class Remaining:
    """The pace of runs, by dataset and backbone, and how much they have left."""

    places: Places
    epochs: Mapping[str, int]  # of each run that is to be made, by id
    at_once: int
    _pace: dict[tuple[str, str], float] = field(default_factory=dict)  # seconds an epoch
    _next: float = 0.0
    _said: float = inf  # seconds

    def look(self, running: Sequence[Job], waiting: Sequence[Job]) -> None:
        """Say how long it will take, as soon as that is known, and each time that half of it is over."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _INTERVAL
        left = self.seconds(running, waiting)
        if left and _LEAST <= left <= self._said / 2:
            self._said = left
            say(f"{len(running) + len(waiting):,} of {len(self.epochs):,} runs to go: about {duration(left)}")

    def seconds(self, running: Sequence[Job], waiting: Sequence[Job]) -> float | None:
        """Return the seconds until all runs have ended; None while no run has trained enough epochs to tell."""
        left = {job.id: self.epochs[job.id] for job in (*running, *waiting)}
        for job in running:
            trained = self._trained(job)
            left[job.id] -= min(len(trained), left[job.id])
            if len(trained) >= _FEWEST:
                self._pace[_kind(job)] = median(trained[1:])
        if not (left and self._pace):
            return None
        usual = fmean(self._pace.values())
        lasting = [left[job.id] * self._pace.get(_kind(job), usual) for job in (*running, *waiting)]
        return max(*lasting, sum(lasting) / self.at_once)

    def _trained(self, job: Job) -> list[float]:
        """Return the seconds that each epoch of a run took; none while its log is being written, or cannot be read."""
        try:
            history = read_history(RunFolder(self.places.run(job.id)))
        except (RunError, OSError):  # an estimate must not stop the grid
            return []
        each = [record.spent for record in history]
        return [one.seconds + one.evaluating + one.saving + one.purifying + one.reporting for one in each]


def _kind(job: Job) -> tuple[str, str]:
    return job.data.name, job.backbone
