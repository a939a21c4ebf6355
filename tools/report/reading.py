"""Read runs: card, summary, the record of each epoch, and what the purifier decided."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sciu.tools.report.comparison import readable
from sciu.tools.report.decisions import read_decisions
from sciu.tools.report.records import RunRecord


def read_runs(folders: Sequence[Path], data: Path | None, text_budget: int) -> list[RunRecord]:
    """Read runs, all before any is drawn; each may have its share of the budget for text."""
    found = readable(folders, lambda folder: _read_run(folder, data, text_budget // len(folders)))
    return [replace(run, name=name) for run, name in zip(found.values(), names_of([*found]), strict=True)]


def names_of(folders: Sequence[Path]) -> list[str]:
    """Return a short name for each folder: the end of its path, as much as tells them apart."""
    parts = [Path(os.path.normpath(folder.absolute())).parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = [str(Path(*each[-length:])) for each in parts]
        if len(set(names)) == len(set(parts)):
            break
    return names


def _read_run(folder: Path, data: Path | None, text_budget: int) -> RunRecord:
    from sciu.pipeline.train.record.history import read_history
    from sciu.pipeline.train.record.run_folder import RunFolder
    from sciu.pipeline.train.report.summary import Summary

    run = RunFolder(folder)
    card = run.require()
    return RunRecord(
        folder=folder, name="", card=card, summary=Summary.load(run) if run.summary.exists() else None,
        history=read_history(run), decisions=read_decisions(folder, data, text_budget),
    )  # fmt: skip
