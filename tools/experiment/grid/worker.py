"""One run of a grid in its own process: `sciu-train`, then its result. Its order is a line of JSON."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from sciu.tools.command import Command

_ORDERS = 0  # standard input; it ends when the grid's process does, however that happens


@click.command(cls=Command)
def main() -> None:
    """Execute the order; end with the exit code of `sciu-train` if that fails."""
    order: dict[str, Any] = json.loads(_line())
    threading.Thread(target=_end_with_the_grid, daemon=True).start()
    run = Path(order["run"])
    with _alone(run.with_name(f".{run.name}.lock")):
        began = time.monotonic()
        _train(order["arguments"])
        from sciu.tools.experiment.results.write import write_result

        write_result(order, run, time.monotonic() - began)


def _train(arguments: list[str]) -> None:
    from sciu.tools.train import main as train

    sys.argv = ["sciu-train", *arguments]  # what the run's card says
    try:
        train.main(args=arguments)
    except SystemExit as end:
        if end.code:
            raise


def _line() -> bytes:
    """Read a line and not a byte more: the end of the input afterwards is the signal to stop."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(_ORDERS, 1)):
        line += byte
    return line


def _end_with_the_grid() -> None:
    while os.read(_ORDERS, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait for the process of a killed grid, which saves its run and ends."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
