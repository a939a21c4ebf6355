"""`tests`: all tests that need a GPU, run by pytest in its own process; each is recorded as it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from sciu.tools.benchmarks.gpu.bench import Bench, NotHereError, Row, read_results
from sciu.tools.benchmarks.gpu.stages import pytest_plugin

ROOT = Path(__file__).resolve().parents[4]
_NOTHING_RAN = 5  # pytest's exit code if the marks leave no test
_FAILED = 1


def suite(bench: Bench) -> None:
    """Run the tests; without a GPU they are collected and skipped."""
    bench.measure("pytest", partial(_run, bench))


def _run(bench: Bench) -> Row:
    if find_spec("pytest") is None:
        raise NotHereError("pytest is not installed")
    if not (ROOT / "tests").is_dir():
        raise NotHereError(f"'{ROOT}' has no tests beside the code")
    command = [
        sys.executable, "-m", "pytest", "-m", "needs_cuda", "-q", "-p", "no:cacheprovider",
        "-p", pytest_plugin.__name__, "--import-mode=importlib", f"--junit-xml={bench.out / 'tests.xml'}",
        *bench.sizes.tests,
    ]  # fmt: skip
    variables = {pytest_plugin.VARIABLE: bench.text(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    variables |= {"SCIU_REQUIRE_CUDA": "1"} if bench.on_gpu else {}
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, check=False)  # noqa: S603 - our own
    if done.returncode not in (0, _FAILED, _NOTHING_RAN):
        raise RuntimeError(f"pytest ended with {done.returncode}: see log.txt")
    rows = read_results(bench.out)["stages"][bench.stage]["rows"].values()
    return dict(Counter(row["outcome"] for row in rows if "outcome" in row))
