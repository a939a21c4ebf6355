"""A spec -> its runs: what each is, where it is, what it waits for, and the command that is it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from sciu.tools.experiments.grid.spec import OF_ANOTHER, Layer, Row, Source, Spec


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of `sciu-train`."""

    data: Source
    backbone: str
    row: Row
    seed: int
    fold: int | None  # None: the spec names no folds
    settings: Layer

    @property
    def unit(self) -> str:
        """What is repeated: a seed, and a fold where there are several."""
        return str(self.seed) if self.fold is None else f"{self.seed}-fold{self.fold}"

    @property
    def id(self) -> str:
        """The run's place below `runs` and `results`."""
        return self._id(self.row.name)

    @property
    def needs(self) -> str:
        """The run that this one takes its labels from, or nothing."""
        return self._id(self.row.of) if self.row.labels in OF_ANOTHER else ""

    def _id(self, row: str) -> str:
        return f"{self.data.name}/{self.backbone}/{row}/{self.unit}"

    def key(self) -> str:
        """Identify what the run is, so that results of another spec are not taken for it."""
        what = {
            "settings": self.settings, "labels": self.row.labels, "of": self.needs, "synth": self.data.synth,
            "per_seed": self.data.per_seed, **({"part": self.row.part} if self.row.part else {}),
        }  # fmt: skip
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Places:
    """What is where below the folder of a grid."""

    out: Path

    def run(self, job: str) -> Path:
        """The run's folder."""
        return self.out / "runs" / job

    def log(self, job: str) -> Path:
        """What the run's process said."""
        return self._file("logs", job, "log")

    def labels(self, job: str) -> Path:
        """The labels that a run begins with, where they are not the dataset's."""
        return self._file("labels", job, "npy")

    def result(self, job: str) -> Path:
        """The run in one object."""
        return self._file("results", job, "json")

    def arrays(self, job: str) -> Path:
        """Probabilities of the test clips, and what was believed of the training clips."""
        return self._file("results", job, "npz")

    def _file(self, room: str, job: str, suffix: str) -> Path:
        return self.out / room / f"{job}.{suffix}"


def expand(spec: Spec) -> list[Job]:
    """Return every run of a grid, seed by seed, so that a grid that is stopped has whole seeds."""
    return [
        Job(data=data, backbone=backbone, row=row, seed=seed, fold=fold, settings=_settings(spec, data, backbone, row))
        for seed in spec.seeds
        for data in spec.data
        for fold in data.folds or (None,)
        for backbone in spec.backbones
        for row in spec.methods
    ]


def _settings(spec: Spec, data: Source, backbone: str, row: Row) -> Layer:
    """Put the layers over each other: the grid's, the backbone's, the dataset's, the method's."""
    return {**spec.settings, **spec.by_backbone.get(backbone, {}), **data.settings, **row.settings}


def chosen(jobs: Sequence[Job], patterns: Sequence[str], done: Callable[[Job], bool]) -> list[Job]:
    """Return the runs that match any pattern, and those that they wait for, as far as these are not done."""
    if not patterns:
        return list(jobs)
    by_id = {job.id: job for job in jobs}
    wanted = {job.id for job in jobs if any(fnmatchcase(job.id, pattern) for pattern in patterns)}
    for name in list(wanted):
        wanted |= {needed for needed in _needed(by_id[name], by_id) if not done(by_id[needed])}
    return [job for job in jobs if job.id in wanted]


def _needed(job: Job, by_id: dict[str, Job]) -> Iterator[str]:
    while job.needs:
        yield job.needs
        job = by_id[job.needs]


def arguments(job: Job, data: Path, run: Path, *, labels_from: Path | None, threads: int) -> list[str]:
    """Return what `sciu-train` is called with."""
    layers = {name: value for name, value in job.settings.items() if name != "preset"}
    words = [str(data), "--out", str(run), "--resume", "--backbone", job.backbone, "--seed", str(job.seed)]
    words += ["--preset", job.settings["preset"]] if "preset" in job.settings else []
    words += ["--fold", str(job.fold)] if job.fold is not None else []
    words += ["--labels-from", str(labels_from)] if labels_from else []
    words += [] if "threads" in layers else ["--threads", str(threads)]
    for name, value in layers.items():
        words += ["--set", f"{name}={_toml(value)}"]
    return words


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
