"""`all`: every bench in its own process; what was measured is on disk after each."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import click

from sciu.pipeline.dataset.system.files import write_atomically
from sciu.tools.benchmarks.measure import environment
from sciu.tools.benchmarks.whole.media import Media, cache_folder, painted
from sciu.tools.benchmarks.whole.page import page
from sciu.tools.benchmarks.whole.parts import DRY, FULL, NAMES, PARTS, Part, Sizes
from sciu.tools.command import RUN_FAILED, say

_LIMIT = 600.0  # seconds of a part: several times what it takes on two cores, which may be shared
_GRACE = 10.0  # seconds in which a part that is stopped can end by itself


def _names(_context: click.Context, option: click.Parameter, value: str | None) -> list[str]:
    found = [name.strip() for name in value.split(",")] if value else []
    if strangers := sorted({*found} - {*NAMES}):
        raise click.UsageError(f"--{option.name} must be of {','.join(NAMES)}, but names {', '.join(strangers)}.")
    return found


@click.command()
@click.option("--only", callback=_names, help=f"Run only these, of {','.join(NAMES)}.")
@click.option("--skip", callback=_names, help="Do not run these.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default="build/bench",
    help="Write page.md and results.json into this folder.",
)  # fmt: skip
@click.option(
    "--cache", type=click.Path(path_type=Path, file_okay=False), show_default="~/.cache/sciu/bench",
    help="Keep the painted clips in this folder for the next time.",
)  # fmt: skip
@click.option("--dry", is_flag=True, help="Try everything at the smallest size.")
def every_bench(only: list[str], skip: list[str], out: Path, cache: Path | None, dry: bool) -> None:
    """Run every bench of a CPU, ours and its peers in turn, and make one page of it, in a quarter of an hour.

    OUT gets page.md, made to be pasted into an issue, and results.json; both hold what was measured so far whenever the
    command is stopped. A bench that fails is named there, and the others go on. `gpu` is a command of its own.

    Example: python tools/bench.py all
    """
    sizes = DRY if dry else FULL
    parts = [part for part in PARTS if (not only or part.bench in only) and part.bench not in skip]
    if not parts:
        raise click.UsageError("--skip must leave a bench, but leaves none. Shorten it.")
    out.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "tools/bench.py", *sys.argv[1:]])
    results: dict[str, Any] = {
        "environment": environment(), "date": f"{date.today():%Y-%m-%d}", "command": command,
        "dry": dry, "parts": {part.title: {"state": "not run"} for part in parts},
    }  # fmt: skip
    _write(out, results)
    media = painted(cache or cache_folder(), sizes.recipe)
    for number, part in enumerate(parts, start=1):
        say(f"{number}/{len(parts)} {part.title}")
        results["parts"][part.title] = _measured(part, sizes, media)
        _write(out, results)
    click.echo(page(results), nl=False)
    say(f"This page is '{out / 'page.md'}', all numbers are in '{out / 'results.json'}'.")
    if failed := [title for title, found in results["parts"].items() if found["state"] != "done"]:
        say(f"Error: {len(failed)} of {len(parts)} failed: {'; '.join(failed)}")
        sys.exit(RUN_FAILED)


def _write(out: Path, results: dict[str, Any]) -> None:
    write_atomically(out / "results.json", (json.dumps(results, indent=2) + "\n").encode(), durable=False)
    write_atomically(out / "page.md", page(results).encode(), durable=False)


def _measured(part: Part, sizes: Sizes, media: Media) -> dict[str, Any]:
    """Run a bench in its own process, and in a folder for its temporary files that is gone afterwards."""
    began, words = time.perf_counter(), [part.bench, *part.words(sizes, media)]
    found: dict[str, Any] = {"options": words, "state": "done"}
    with tempfile.TemporaryDirectory(prefix="sciu-bench-") as folder:
        told, log = Path(folder, "measured.json"), Path(folder, "log.txt")
        end = _run([sys.executable, "-m", "sciu.tools.bench", *words, "--json", str(told)], log)
        if end:
            found |= {"state": f"{end}: {_last_line(log)}", "log": log.read_text(errors="replace")[-4000:]}
        else:
            measured = json.loads(told.read_text())
            found |= {name: value for name, value in measured.items() if name != "environment"}
    return {**found, "seconds": round(time.perf_counter() - began, 1)}


def _run(command: list[str], log: Path) -> str:
    """Run a command to its end or to the limit; return why it failed. No process of its remains."""
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - our own
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
            env={**os.environ, "TMPDIR": str(log.parent)},
        )  # fmt: skip
    try:
        code = process.wait(timeout=_LIMIT)
    except subprocess.TimeoutExpired:
        return f"did not end in {_LIMIT:.0f} s"
    else:
        return f"failed with exit code {code}" if code else ""
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_GRACE)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][-300:] if lines else "it printed nothing"
