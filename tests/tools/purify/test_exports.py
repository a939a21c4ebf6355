"""No spreadsheet runs a cell of an export."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Answer
from noisy_clips import CLIPS, begin, one_epoch

from sciu.tools.command.csv_file import original

Sciu = Callable[..., Answer]
RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r")
NAMES = ("=1+1", "-Sad", "'@Fear")


@pytest.mark.parametrize("kind", ["csv", "cleanlab"])
def test_no_cell_of_an_export_is_run(sciu: Sciu, tmp_path: Path, kind: str) -> None:
    with begin(tmp_path / "store", class_names=NAMES, paths=[f"=clip{k}" for k in range(CLIPS)]) as purifier:
        one_epoch(purifier)
        purifier.pin(0, "keep", why="@SUM(A1:A9)", who="=anna")
    sciu("purify", "export", tmp_path / "store", "--format", kind, "--out", tmp_path / "out")
    with (tmp_path / "out").open(newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = {"margin", "score", "weight", "label_score"}
    texts = [cell for row in rows for name, cell in row.items() if name not in numbers]
    assert not [cell for cell in texts if cell.startswith(RUN_BY_SPREADSHEETS)]
    assert {original(row["path"]) for row in rows} == {f"=clip{k}" for k in range(CLIPS)}
