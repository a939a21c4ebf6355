"""A plugin of pytest: each test is a row of the bench when it begins, and again when it ends."""

from __future__ import annotations

import os

import pytest

from sciu.tools.benchmarks.gpu.bench import Bench, Row

VARIABLE = "SCIU_BENCH"
_bench = Bench.of(os.environ[VARIABLE]) if VARIABLE in os.environ else None


def pytest_runtest_logstart(nodeid: str) -> None:
    """Record a test before it runs, so that one that hangs is known by name."""
    if _bench:
        _bench.tell(nodeid, {"state": "begun"})


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Record the outcome of a test; of its setup and teardown only failures and skips."""
    if _bench and (report.when == "call" or not report.passed):
        _bench.tell(report.nodeid, _row(report))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Record a file that cannot be imported."""
    if _bench and report.failed:
        _bench.tell(report.nodeid, {"outcome": "failed", "error": _why(report.longreprtext)})


def _row(report: pytest.TestReport) -> Row:
    row: Row = {"outcome": report.outcome, "took": round(report.duration, 2)}
    if report.skipped and isinstance(report.longrepr, tuple):
        return {**row, "left_out": report.longrepr[2].removeprefix("Skipped: ")}
    return {**row, "error": _why(report.longreprtext)} if report.failed else row


def _why(text: str) -> str:
    """Return the first line of the error, which pytest marks with an E."""
    lines = text.splitlines()
    return next((line[1:].strip() for line in lines if line.startswith("E  ")), lines[-1] if lines else "unknown")
