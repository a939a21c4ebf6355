"""`gpu`: all stages, each in its own process with a time limit; measurements are on disk at once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from sciu.tools.benchmarks.gpu import stage as stages
from sciu.tools.benchmarks.gpu.bench import DRY, FULL, Bench, read_results, tell_stage, write_results
from sciu.tools.benchmarks.gpu.page import failures, page, targets
from sciu.tools.benchmarks.gpu.stage import STAGES, Stage
from sciu.tools.command import RUN_FAILED

_LEAST = 1.0  # seconds in which a stage can do anything


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Write the results into this folder."
)
@click.option("--seconds", type=click.FloatRange(min=1), default=480.0, help="Stop all stages after this time.")
@click.option("--stages", "letters", help="Run only these, as a,b,g.  [default: all, but i in a dry run]")
@click.option("--data", type=click.Path(path_type=Path, exists=True), help="Read and train on this dataset.")
@click.option("--clips", type=click.IntRange(min=12), help=f"Make this many clips.  [default: {FULL.clips}]")
@click.option("--dry", is_flag=True, help="Try everything at the smallest size, also without a GPU.")
def gpu(
    out: Path, seconds: float, letters: str | None, data: Path | None, clips: int | None, dry: bool
) -> None:  # fmt: skip
    """Run on one GPU, in minutes, the tests and races that need one, and measure everything against its ceiling.

    OUT gets results.json, page.md, log.txt, tests.xml and profile.txt; the first two hold what was measured so far
    whenever the run is stopped. Stages: a machine, b tests, g race, c step, e feed, f train, d decoders, h survival,
    i compiled.

    Example: python tools/bench.py gpu --out bench-gpu
    """
    stages_to_run = chosen(letters, dry=dry)
    _require_gpu(dry=dry)
    out, data = out.absolute(), data and data.absolute()  # stages start in other folders
    out.mkdir(parents=True, exist_ok=True)
    (out / "log.txt").unlink(missing_ok=True)
    sizes = DRY if dry else FULL
    settings = {
        "seconds": seconds, "dry": dry, "clips": clips or sizes.clips, "data": data and str(data),
        "step": f"{sizes.backbones[0]}, {sizes.batches[0]} clips",
    }  # fmt: skip
    write_results(out, {"settings": settings, "stages": {}})
    with tempfile.TemporaryDirectory(prefix="sciu-bench-") as media:
        bench = {"out": out, "media": Path(media), "data": data, "clips": settings["clips"], "dry": dry}
        run_all(stages_to_run, bench, time.time() + seconds)
    _end(out)


def chosen(letters: str | None, *, dry: bool) -> list[Stage]:
    """Return the requested stages in order of importance, with the media that they need."""
    known = [stage.letter for stage in STAGES]
    usual = [stage.letter for stage in STAGES if not (dry and stage.minutes)]
    asked = usual if letters is None else [letter.strip() for letter in letters.split(",")]
    if strangers := set(asked) - set(known):
        raise click.UsageError(f"--stages must be of {','.join(known)}, but names {', '.join(sorted(strangers))}.")
    needs_media = any(stage.needs_media for stage in STAGES if stage.letter in asked)
    return [stage for stage in STAGES if stage.letter in asked or (needs_media and stage.name == "media")]


def _require_gpu(*, dry: bool) -> None:
    if dry:
        return
    import torch

    if not torch.cuda.is_available():
        raise click.UsageError("torch must find a GPU, but finds none. --dry tries everything without one.")


def run_all(asked: list[Stage], bench: dict[str, Any], until: float) -> None:
    """Run each stage in its own process; a dry run, which must be quick, runs all in one.

    Each gets its share of the time that is left, so the time that one does not need goes to the others.
    """
    groups = [asked] if bench["dry"] else [[stage] for stage in asked]
    for place, group in enumerate(groups):
        shares = [sum(stage.seconds for stage in later) for later in groups[place:]]
        limit = (until - time.time()) * shares[0] / sum(shares)
        click.echo(f"{', '.join(stage.name for stage in group)}: at most {limit:.0f} s", err=True)
        fate = "stopped"
        try:
            fate = _run_stages([Bench(stage=stage.name, **bench) for stage in group], limit)
        finally:
            _tell_the_rest(bench["out"], group, fate)


def stage_command(benches: list[Bench]) -> list[str]:
    """Return the command that runs stages."""
    return [sys.executable, "-m", stages.__name__, str(os.getpid()), *(bench.text() for bench in benches)]


def _run_stages(benches: list[Bench], limit: float) -> str:
    """Run stages in one process, then kill its process group; return how it ended."""
    if limit < _LEAST:
        return "no time was left"
    log = benches[0].out / "log.txt"
    with log.open("ab") as file:
        process = subprocess.Popen(  # noqa: S603 - our own
            stage_command(benches), stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            start_new_session=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    try:
        return f"ended with {process.wait(timeout=limit)}: {_last_line(log)}"
    except subprocess.TimeoutExpired:
        return f"ended at its limit of {limit:.0f} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][-200:] if lines else "it printed nothing"


def _tell_the_rest(out: Path, group: list[Stage], fate: str) -> None:
    """Record the end of the stages that did not record it themselves, and rewrite the page."""
    for stage in group:
        if "state" not in read_results(out)["stages"].get(stage.name, {}):
            tell_stage(out, stage.name, {"state": fate}, {})
            fate = "was not begun"
    results = read_results(out)
    results["targets"] = targets(results)
    write_results(out, results)
    (out / "page.md").write_text(page(results))


def _end(out: Path) -> None:
    """Print the page; exit with code 1 if anything failed."""
    results = read_results(out)
    click.echo(page(results))
    if failed := failures(results):
        click.echo(f"Error: {len(failed)} failed, the first: {failed[0]}", err=True)
        sys.exit(RUN_FAILED)
