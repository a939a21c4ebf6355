"""The stages, and some of them run: `python -m sciu.tools.benchmarks.gpu.stage COMMAND BENCH ...`."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass

from sciu.tools.benchmarks.gpu.bench import Bench, first_line, tell_stage


@dataclass(frozen=True)
class Stage:
    """Something that is measured; its function has the name of its file where nothing else is said."""

    letter: str
    name: str
    seconds: float  # its share of the eight minutes
    module: str
    needs_media: bool = False
    minutes: bool = False  # it takes some, also when it is dry


STAGES = (  # in the order in which they matter
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
    """Run a stage, and tell how it ended."""
    stage = next(stage for stage in STAGES if stage.name == bench.stage)
    module, _, function = stage.module.partition(":")
    began, state = time.perf_counter(), "done"
    try:
        getattr(importlib.import_module(f"{__package__}.{module}"), function or module)(bench)
    except Exception as error:  # noqa: BLE001 - of whatever kind: the other stages go on
        traceback.print_exc()
        state = f"failed: {first_line(error)}"
    tell_stage(bench.out, bench.stage, {"state": state, "seconds": round(time.perf_counter() - began, 1)}, {})


def _follow(command: int) -> None:
    """End with the command, known by its id, and with all that was started by us: kill -9 leaves nothing behind."""
    while os.getppid() == command:
        time.sleep(1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_follow, args=[int(sys.argv[1])], daemon=True).start()
    for text in sys.argv[2:]:
        run(Bench.of(text))
