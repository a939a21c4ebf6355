"""Runs a grid: which runs are done, which are missing, starting each, reporting each."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.errors import SettingError
from sciu.tools import version
from sciu.tools.command import Progress, say
from sciu.tools.experiment.grid.jobs import Job, Places, arguments
from sciu.tools.experiment.grid.processes import Child, Outcomes, last_line, run_all, start
from sciu.tools.experiment.grid.remaining import Remaining
from sciu.tools.experiment.grid.sources import folder_of, labels_of, make_dataset, require_truth
from sciu.tools.experiment.grid.spec import OWN_LABELS, Spec
from sciu.tools.experiment.results.read import read_result

if TYPE_CHECKING:
    from sciu.pipeline.train.config.settings import Settings

_FORMAT = 1


@dataclass
class Harness:
    """A grid in its folder."""

    spec: Spec
    places: Places
    given: dict[str, Path]  # folders of datasets, from the command line
    threads: int  # of each run
    total: int = 0
    ended: int = 0

    def done(self, job: Job) -> bool:
        """Return whether a run has its result, both files; raise an error if that is of another spec."""
        path = self.places.result(job.id)
        if not path.exists():
            return False
        if (key := read_result(path).content["key"]) != job.key():
            raise DatasetError(
                f"'{path}' must be the result of this spec's run {job.key()}, but is of {key}. Choose another --out, or"
                " remove that result and its run."
            )
        return self.places.arrays(job.id).exists()

    def check(self, jobs: list[Job]) -> None:
        """Raise an error for contradicting settings and for unknown backbones."""
        from sciu.models.registry import REGISTRY, build_backbone

        for job in jobs:
            try:
                _settings_of(job)
            except SettingError as error:
                raise SettingError(f"{job.id}: {error}") from None
            if job.backbone not in REGISTRY and ":" not in job.backbone:
                build_backbone(job.backbone)  # its error lists the backbones

    def check_folders(self, jobs: list[Job]) -> None:
        """Raise an error for datasets without a folder, before anything is made."""
        for job in jobs:
            folder_of(job, self.places, self.given)

    def run(self, jobs: list[Job], limit: int) -> Outcomes:
        """Make the datasets, then run what is not done."""
        missing = [job for job in jobs if not self.done(job)]
        self.total, self.ended = len(jobs), len(jobs) - len(missing)
        for job in jobs:
            if job not in missing:  # it may have ended after its grid was killed
                self._thin_out(job)
        for folder, job in {self._folder(job): job for job in missing}.items():
            make_dataset(job, folder, Progress(f"paint {folder.name}"))
        for folder in {self._folder(job) for job in missing if job.row.labels in OWN_LABELS}:
            require_truth(Dataset.load(folder))
        remaining = Remaining(self.places, {job.id: _settings_of(job).epochs for job in missing}, limit)
        return run_all(missing, self._begin, self._report, remaining.look, limit)

    def _folder(self, job: Job) -> Path:
        return folder_of(job, self.places, self.given).absolute()

    def _begin(self, job: Job) -> Child:
        """Start a run, whose data and labels exist by now."""
        folder, run = self._folder(job), self.places.run(job.id).absolute()
        labels_from = labels_of(job, folder, self.places)
        words = arguments(job, folder, run, labels_from=labels_from and labels_from.absolute(), threads=self.threads)
        order = {
            "arguments": words, "run": str(run), "facts": {**self._facts, **_facts_of(job), "threads": self.threads},
            "result": str(self.places.result(job.id)), "arrays": str(self.places.arrays(job.id)),
            "names": {f"{self.places.out.absolute()}/": "", str(folder): job.data.name},  # of folders, in its result
        }  # fmt: skip
        return start(order, self.places.log(job.id), self.threads)

    @cached_property
    def _facts(self) -> dict[str, Any]:
        spec = hashlib.sha256(repr(self.spec).encode()).hexdigest()[:16]
        return {
            "format": _FORMAT, "grid": self.spec.name, "spec": spec, "version": version(),
            "commit": _commit(),
        }  # fmt: skip

    def _report(self, job: Job, code: int, outcomes: Outcomes) -> None:
        """Print in a line how a run ended."""
        self.ended += 1
        if code == 0 and self.done(job):
            outcomes.done.append(job.id)
            result = read_result(self.places.result(job.id)).content
            last, seconds = result["last"], result["seconds"]["run"]
            outcome = f"WAR {last['war']:.1%}  UAR {last['uar']:.1%}  {seconds:,.0f} s"
            self._thin_out(job)
        else:
            killed = f"ended by signal {-code} after: " if code < 0 else ""
            outcomes.failed[job.id] = killed + last_line(self.places.log(job.id))
            outcome = f"failed: {outcomes.failed[job.id]}"
        say(f"[{self.ended}/{self.total}] {job.id}  {outcome}")

    def _thin_out(self, job: Job) -> None:
        """Remove the large files of a finished run; its decisions stay, for other runs begin with them."""
        for name in () if self.spec.keep_runs else ("checkpoints", "tensorboard"):
            shutil.rmtree(self.places.run(job.id) / name, ignore_errors=True)


def _settings_of(job: Job) -> Settings:
    """Return the settings that a run will have."""
    from sciu.pipeline.train.config.resolve import preset_layer, resolve

    own = {name: value for name, value in job.settings.items() if name != "preset"}
    preset = [preset_layer(job.settings["preset"])] if "preset" in job.settings else []
    return resolve([*preset, (job.id, {**own, "backbone": job.backbone, "seed": job.seed})]).settings


def _facts_of(job: Job) -> dict[str, Any]:
    return {
        "key": job.key(), "data": job.data.name, "backbone": job.backbone, "method": job.row.name, "unit": job.unit,
        "seed": job.seed, "fold": job.fold, "labels": job.row.labels, "of": job.row.of, "part": job.row.part,
    }  # fmt: skip


def _commit() -> str | None:
    """Return the commit of the code, None outside a checkout."""
    place = Path(__file__).resolve().parent
    try:
        found = subprocess.run(  # noqa: S603 - no input of others
            ["git", "-C", str(place), "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
