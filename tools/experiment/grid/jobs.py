"""A spec -> its runs: their settings, files, dependencies and commands."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

from sciu.tools.experiment.grid.spec import Layer, Row, Source, Spec


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of `sciu-train`."""

    data: Source
    backbone: str
    row: Row
    seed: int
    fold: int | None  # None: the spec names no folds
    settings: Layer
    needed: Job | None = None  # whose labels this one begins with

    @property
    def unit(self) -> str:
        """What is repeated: a seed, and a fold where there are several."""
        return str(self.seed) if self.fold is None else f"{self.seed}-fold{self.fold}"

    @property
    def id(self) -> str:
        """The run's place below `runs` and `results`."""
        return f"{self.data.name}/{self.backbone}/{self.row.name}/{self.unit}"

    @property
    def needs(self) -> str:
        """The run that this one takes its labels from, or nothing."""
        return self.needed.id if self.needed else ""

    def key(self) -> str:
        """Return a hash of what the run is, so that results of another spec are recognised."""
        what = {
            "settings": self.settings, "labels": self.row.labels, "of": self.needed.key() if self.needed else "",
            "synth": self.data.synth, "per_seed": self.data.per_seed,
            **({"part": self.row.part} if self.row.part else {}),
        }  # fmt: skip
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Places:
    """The files below the folder of a grid."""

    out: Path

    def run(self, job: str) -> Path:
        """Return the run's folder."""
        return self.out / "runs" / job

    def log(self, job: str) -> Path:
        """Return the file of the output of the run's process."""
        return self._file("logs", job, "log")

    def labels(self, job: str) -> Path:
        """Return the file of a run's labels, if they are not the dataset's."""
        return self._file("labels", job, "npy")

    def result(self, job: str) -> Path:
        """Return the file of the run's result."""
        return self._file("results", job, "json")

    def arrays(self, job: str) -> Path:
        """Return the file of the run's arrays: what it knows of test clips and training clips."""
        return self._file("results", job, "npz")

    def _file(self, folder: str, job: str, suffix: str) -> Path:
        return self.out / folder / f"{job}.{suffix}"


def expand(spec: Spec) -> list[Job]:
    """Return every run of a grid, seed by seed, so that a stopped grid has whole seeds."""
    jobs = []
    for seed, data in product(spec.seeds, spec.data):
        for fold, backbone in product(data.folds or (None,), spec.backbones):
            alone = {
                row.name: Job(
                    data=data, backbone=backbone, row=row, seed=seed, fold=fold,
                    settings=_settings(spec, data, backbone, row),
                )
                for row in spec.methods
            }  # fmt: skip
            jobs += [replace(job, needed=alone[job.row.of]) if job.row.of else job for job in alone.values()]
    return jobs


def _settings(spec: Spec, data: Source, backbone: str, row: Row) -> Layer:
    """Combine the layers of settings; later ones win: grid, backbone, dataset, method."""
    return {**spec.settings, **spec.by_backbone.get(backbone, {}), **data.settings, **row.settings}


def chosen(jobs: Sequence[Job], patterns: Sequence[str], done: Callable[[Job], bool]) -> list[Job]:
    """Return the runs that match any pattern, and the unfinished runs that they wait for."""
    if not patterns:
        return list(jobs)
    by_id = {job.id: job for job in jobs}
    wanted = {job.id for job in jobs if any(fnmatchcase(job.id, pattern) for pattern in patterns)}
    needed = [by_id[name].needed for name in wanted]
    wanted |= {job.id for job in needed if job and not done(job)}
    return [job for job in jobs if job.id in wanted]


def arguments(job: Job, data: Path, run: Path, *, labels_from: Path | None, threads: int) -> list[str]:
    """Return the arguments for `sciu-train`."""
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
