"""`run`: a grid of ordinary trainings, which can be stopped and resumed at any moment."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sciu.pipeline.dataset.system.cores import cores
from sciu.pipeline.dataset.system.files import only_writer, write_atomically
from sciu.pipeline.errors import SettingError, Stopped
from sciu.tools.command import RUN_FAILED, json_option, print_json, print_table

if TYPE_CHECKING:
    from sciu.tools.experiment.grid.harness import Harness
    from sciu.tools.experiment.grid.jobs import Job
    from sciu.tools.experiment.grid.processes import Outcomes
    from sciu.tools.experiment.grid.spec import Spec


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Write the grid into this folder.")
@click.option("--data", multiple=True, metavar="NAME=PATH", help="Load a dataset of the spec from this folder.")
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Run this many at once.  [default: cores / threads; on a GPU 1]"
)
@click.option(
    "--threads", type=click.IntRange(min=1), help="Use this many threads per run.  [default: 1; on a GPU all cores]"
)
@click.option(
    "--only",
    multiple=True,
    metavar="PATTERN",
    help="Run only runs that match data/backbone/method/seed, with * for anything.",
)
@click.option("--resume", is_flag=True, help="Resume the grid in --out; begin it if there is none.")
@click.option("--dry-run", is_flag=True, help="List the runs and do nothing.")
@json_option
def run(
    spec: Path, out: Path, data: tuple[str, ...], jobs: int | None, threads: int | None, only: tuple[str, ...],
    resume: bool, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Train every combination of a spec's datasets, backbones, methods and seeds.

    A finished run is not repeated, a killed one is resumed; a failed one is reported, and the others continue.

    Example: sciu-experiment run examples/experiments/toy.toml --out toys --resume
    """
    from sciu.tools.experiment.grid.harness import Harness
    from sciu.tools.experiment.grid.jobs import Places, chosen, expand
    from sciu.tools.experiment.grid.processes import at_once
    from sciu.tools.experiment.grid.sources import given_folders
    from sciu.tools.experiment.grid.spec import read_spec

    read = read_spec(spec)
    gpu = _on_gpu(read)
    threads = threads or (cores() if gpu else 1)
    grid = Harness(read, Places(out), given_folders(data, read.data), threads)
    wanted = chosen(expand(read), only, grid.done)
    if not wanted:
        raise SettingError(f"--only must match a run, but {' '.join(only)} matches none. --dry-run lists them.")
    grid.check(wanted)
    if dry_run:
        _list(grid, wanted, as_json=as_json)
        return
    grid.check_folders(wanted)
    for job in wanted:
        grid.done(job)  # raises if it is of another spec, before anything is written
    if not resume and out.exists() and any(out.iterdir()):
        raise SettingError(f"--out must be new or empty, but '{out}' is not. Choose another, or --resume its grid.")
    out.mkdir(parents=True, exist_ok=True)
    with only_writer(out / ".lock"):
        write_atomically(out / "spec.toml", spec.read_bytes())
        with _told_how_to_resume(out):
            outcomes = grid.run(wanted, at_once(jobs, threads, gpu=gpu))
    _report(outcomes, len(wanted), as_json=as_json)


@contextmanager
def _told_how_to_resume(out: Path) -> Iterator[None]:
    """Say, when a signal stops the grid, how it continues."""
    try:
        yield
    except (KeyboardInterrupt, Stopped) as stop:
        number = stop.number if isinstance(stop, Stopped) else signal.SIGINT
        name = signal.Signals(number).name
        raise Stopped(number, f"stopped by {name}; --resume continues the grid in '{out}' where it was.") from None


def _on_gpu(spec: Spec) -> bool:
    """Return whether the runs will use a GPU, without initialising it."""
    return spec.settings.get("device", "auto") != "cpu" and Path("/dev/nvidiactl").exists()


def _list(grid: Harness, jobs: list[Job], *, as_json: bool) -> None:
    states = {job.id: "done" if grid.done(job) else f"after {job.needs}" if job.needs else "to run" for job in jobs}
    if as_json:
        print_json(states)
    else:
        print_table(["run", "is"], list(states.items()))


def _report(outcomes: Outcomes, total: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"runs": total, **vars(outcomes)})
    else:
        finished = total - len(outcomes.failed) - len(outcomes.skipped)
        click.echo(f"{finished:,} of {total:,} runs are done. `sciu-experiment table` shows their results.")
        for name, needed in outcomes.skipped.items():
            click.echo(f"{name} skipped: it begins with what {needed} kept")
    if outcomes.failed or outcomes.skipped:
        sys.exit(RUN_FAILED)
