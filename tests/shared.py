"""What takes seconds to make is made once in a test run, and shared by all of its processes; for reading only."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that one process has made; the others wait for it. Runs hold its path: it is never moved."""
    base = factory.getbasetemp()
    root = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made-once"
    root.mkdir(exist_ok=True)
    folder, whole = root / name, root / f"{name}.whole"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            whole.touch()
    return folder


def copy_of(folder: Path, place: Path) -> Path:
    """Copy a folder that a test changes; files with two names keep both, as checkpoints have them."""
    subprocess.run(["cp", "-a", str(folder), str(place)], check=True)
    return place
