"""`survival`: a training that purifies, killed in the middle and resumed, beside one that was not killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from sciu.tools.benchmarks.gpu.bench import Bench, NotHereError, Row

_TOLERATED = 0.1  # of all clips
_POLL = 0.02  # seconds


def survival(bench: Bench) -> None:
    """Train both at the same time."""
    bench.measure("killed and resumed", partial(_train_twins, bench))


def _train_twins(bench: Bench) -> Row:
    data = bench.media / "faces"
    if not data.exists():
        raise NotHereError("no faces could be painted")
    runs = {name: bench.media / "runs" / name for name in ("killed", "twin")}
    (bench.media / "runs").mkdir()
    killed, twin = (_start(bench, data, runs[name]) for name in runs)
    _kill_in_the_middle(killed, runs["killed"], (bench.sizes.learnt_epochs + 1) // 2)
    _require_good_end(_start(bench, data, runs["killed"], "--resume"))
    _require_good_end(twin)
    return _compared(*(json.loads((run / "summary.json").read_text()) for run in runs.values()))


def _start(bench: Bench, data: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    """Start `sciu-train`."""
    epochs = bench.sizes.learnt_epochs
    settings = {
        "lr_warmup": 1, "warmup": max(1, epochs // 2 - 1), "window": 2, "deterministic": "true",
        "previews": bench.sizes.previews, "batch_size": 16,
    }  # fmt: skip
    command = [
        sys.executable, "-m", "sciu.tools.train", str(data), "--out", str(out), "--preset", "demo",
        "--epochs", str(epochs), "--frames", str(bench.sizes.frames), "--size", "32" if bench.dry else "64",
        "--amp", bench.amp,
    ]  # fmt: skip
    command += [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    return subprocess.Popen([*command, *more], stdout=sys.stderr)  # noqa: S603 - our own


def _kill_in_the_middle(process: subprocess.Popen[bytes], run: Path, epoch: int) -> None:
    """Kill it by SIGKILL once the index of an epoch exists."""
    while process.poll() is None and not (run / f"index/epoch_{epoch:05d}.json").exists():
        time.sleep(_POLL)
    if process.poll() is not None:
        raise RuntimeError(f"the run ended with {process.returncode} before epoch {epoch}: see log.txt")
    process.kill()
    process.wait()


def _require_good_end(process: subprocess.Popen[bytes]) -> None:
    if process.wait() != 0:
        raise RuntimeError(f"a run ended with {process.returncode}: see log.txt")


def _compared(killed: dict[str, Any], twin: dict[str, Any]) -> Row:
    """Compare the final results of the two within a tolerance; the same bits are not required."""
    clips = twin["train_clips"]
    apart = {name: abs(killed[name] - twin[name]) for name in ("war", "uar")}
    apart |= {name: abs(killed[name] - twin[name]) / clips for name in ("pruned", "corrected")}
    shown = ("war", "war_best", "epochs_done", "train_clips", "pruned", "corrected")
    row: Row = {name: twin[name] for name in shown} | {f"{name}_apart": value for name, value in apart.items()}
    if killed["epochs_done"] != twin["epochs_done"] or max(apart.values()) > _TOLERATED:
        row["error"] = f"the killed run has another result: { ({name: killed[name] for name in shown}) }"
    return row
