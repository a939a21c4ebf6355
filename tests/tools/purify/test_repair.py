"""Damaged lines of the epoch lists are rebuilt from the dataset, where it is now."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Answer
from shared import copy_of

from sciu.pipeline.dataset import Dataset, list_paths
from sciu.purification.store.store import Store, Transaction

Sciu = Callable[..., Answer]


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    return copy_of(finished_run, tmp_path / "run")


def damage_lines(run: Path) -> None:
    opened = Store(run / "purifier")
    with opened._env.begin(write=True) as raw:
        value = bytearray(raw.get(b"lines/0000"))
        value[3] ^= 4
        raw.put(b"lines/0000", bytes(value))
        Transaction(raw, run).put_json("transaction", raw.id())
    opened.close()


def test_lines_are_rebuilt_from_the_runs_dataset(sciu: Sciu, run: Path) -> None:
    damage_lines(run)
    told = sciu("purify", "verify", run)
    assert told.code == 1
    assert "lines/0000: missing, or its checksum does not match. What is left: all decisions; the dataset" in told.out
    mended = sciu("purify", "verify", run, "--repair", "--json")
    assert mended.code == 0
    assert mended.json == {"ok": True, "problems": [], "repaired": ["lines/0000"]}
    assert sciu("purify", "list", run, "--what", "training").code == 0


def test_lines_are_rebuilt_from_a_moved_dataset_and_the_lists_with_them(
    sciu: Sciu, run: Path, frame_faces: Dataset, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(frame_faces.folder, tmp_path / "moved"))
    told = sciu("purify", "verify", run, "--repair", "--rewrite", "--data", moved)
    lists = sorted((run / "index").glob("*.list"))
    assert told.out.splitlines() == [
        "repaired: lines/0000",
        *(f"repaired: index of epoch {epoch}" for epoch in range(1, len(lists) + 1)),
        "no problems",
    ]
    paths = list_paths(Dataset.load(moved))
    for path in lists:
        assert all(line == f"{paths[int(line.split()[1])]} {line.split()[1]}" for line in path.read_text().splitlines())
    assert sciu("purify", "verify", run, "--repair", "--data", moved).out == "no problems\n"


def test_without_the_dataset_the_lines_are_not_invented(
    sciu: Sciu, run: Path, frame_faces: Dataset, faces: Dataset, tmp_path: Path
) -> None:
    (run / "run.json").unlink()
    damage_lines(run)
    told = sciu("purify", "verify", run, "--repair")
    assert told.code == 3
    assert "which has the paths that were damaged, but none was found" in told.error()
    assert sciu("data", "synth", tmp_path / "other", "--clips", 14, "--frames", 2, "--size", 16).code == 0
    assert "the one found is another" in sciu("purify", "verify", run, "--repair", "--data", tmp_path / "other").error()
    assert sciu("purify", "verify", run, "--repair", "--data", frame_faces.folder).code == 0
