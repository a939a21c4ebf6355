"""The stages; `python -m sciu.tools.benchmarks.gpu.stage COMMAND BENCH ...` runs some of them."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass

from sciu.pipeline.errors import kind_and_line
from sciu.tools.benchmarks.gpu.bench import Bench, tell_stage


@dataclass(frozen=True)
class Stage:
    """Something that is measured; its function has the name of its module unless `module` names another."""

    letter: str
    name: str
    seconds: float  # its share of the eight minutes
    module: str
    needs_media: bool = False
    minutes: bool = False  # it takes minutes, also in a dry run


STAGES = (  # in order of importance
    Stage("a", "machine", 25, "machine"),
    Stage("b", "tests", 85, "suite:suite"),
    Stage("m", "media", 25, "media"),
    Stage("g", "race", 40, "race", needs_media=True),
    Stage("c", "step", 60, "step"),
    Stage("e", "feed", 45, "feed", needs_media=True),
    Stage("f", "train", 90, "train", needs_media=True),
    Stage("d", "decoders", 25, "decoders", needs_media=True),
    Stage("h", "survival", 40, "survival", needs_media=True),
    Stage("i", "compiled", 45, "step:compiled", minutes=True),
)


def run(bench: Bench) -> None:
    """Run a stage, and record how it ended."""
    stage = next(stage for stage in STAGES if stage.name == bench.stage)
    module, _, function = stage.module.partition(":")
    began, state = time.perf_counter(), "done"
    try:
        getattr(importlib.import_module(f"{__package__}.stages.{module}"), function or module)(bench)
    except Exception as error:  # noqa: BLE001 - the other stages continue after any error
        traceback.print_exc()
        state = f"failed: {kind_and_line(error)}"
    tell_stage(bench.out, bench.stage, {"state": state, "seconds": round(time.perf_counter() - began, 1)}, {})


def _follow(command: int) -> None:
    """End when the command does, known by its id, with all that we started: kill -9 leaves no process behind."""
    while os.getppid() == command:
        time.sleep(1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_follow, args=[int(sys.argv[1])], daemon=True).start()
    for text in sys.argv[2:]:
        run(Bench.of(text))
