"""Runs are compared row by row: finished or not, and what cannot be read is named and left out."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Answer
from invented_run import EPOCHS, invented_run

Sciu = Callable[..., Answer]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, a plain one that is not, and one that was only begun."""
    folder = tmp_path_factory.mktemp("runs")
    invented_run(folder / "done", seed=3)
    invented_run(folder / "half", method="plain", epochs=2, names=["=1+1", "b", "c"])
    invented_run(folder / "new", epochs=0)
    return folder


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_says_what_a_run_is_and_what_came_of_it(sciu: Sciu, runs: Path) -> None:
    done, half, new = sciu("report", *sorted(runs.iterdir()), "--format", "table", "--json").json["runs"]
    summary = json.loads((runs / "done/summary.json").read_text())
    assert {name: done[name] for name in ("war", "uar", "war_best", "uar_best", "best_epoch", "pruned")} == {
        name: summary[name] for name in ("war", "uar", "war_best", "uar_best", "best_epoch", "pruned")
    }
    assert (done["run"], done["method"], done["seed"], done["epochs_done"]) == (str(runs / "done"), "sciu", 3, EPOCHS)
    assert done["hours"] == pytest.approx(EPOCHS * 2.0 / 3600, abs=1e-4)
    assert (half["method"], half["epochs_done"], half["epochs"]) == ("plain", 2, EPOCHS)
    assert (new["epochs_done"], new["war"], new["hours"]) == (0, None, None)


def test_csv_has_the_same_rows_and_no_formula(sciu: Sciu, runs: Path, tmp_path: Path) -> None:
    asked = sciu("report", *sorted(runs.iterdir()), "--format", "csv")
    rows, told = rows_of(asked.out), sciu("report", *sorted(runs.iterdir()), "--format", "csv", "--json").json["runs"]
    assert [[*row] for row in rows] == [[*row] for row in told]
    assert [row["war"] for row in rows] == ["" if row["war"] is None else str(row["war"]) for row in told]
    assert [row["dataset"] for row in rows][1] == "'=1+1"
    written = sciu("report", *sorted(runs.iterdir()), "--format", "csv", "--out", tmp_path / "runs.csv")
    assert written.out == f"3 runs in '{tmp_path / 'runs.csv'}'\n"
    assert (tmp_path / "runs.csv").read_text() == asked.out


def test_a_terminal_gets_a_table(sciu: Sciu, runs: Path) -> None:
    lines = sciu("report", runs / "done", runs / "half", "--format", "table").out.splitlines()
    assert lines[0].split()[:3] == ["run", "method", "backbone"]
    assert "2 of 5" in lines[3]
    assert f"{24 / 60:.1%}" in lines[2] or "40.0%" in lines[2]


def test_what_is_no_run_or_damaged_is_named_and_left_out(sciu: Sciu, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("of a person")
    (tmp_path / "empty").mkdir()
    invented_run(tmp_path / "torn")
    (tmp_path / "torn/summary.json").write_text("{")
    for form in ("table", "html"):
        others = ("--out", tmp_path / "page.html") if form == "html" else ()
        answer = sciu("report", *sorted(tmp_path.iterdir()), runs / "done", "--format", form, *others, "--json")
        assert answer.code == 0
        assert len(answer.json["runs"]) == 1
        said = answer.err.splitlines()
        assert [line.startswith("Warning: left out: ") for line in said] == [True] * 3
        assert ["must be a run" in line for line in said] == [True, True, False]
        assert "torn/summary.json' is damaged" in said[2]
    assert sciu("report", tmp_path / "empty", tmp_path / "torn", "--format", "table").code == 3


def test_runs_of_other_datasets_are_remarked_on(sciu: Sciu, runs: Path, tmp_path: Path) -> None:
    other = invented_run(tmp_path / "other")
    card = json.loads((other / "run.json").read_text())
    card["dataset"]["fingerprint"] = "another"
    (other / "run.json").write_text(json.dumps(card))
    assert "of different datasets" in sciu("report", runs / "done", other, "--format", "table").err
    assert "of different datasets" not in sciu("report", runs / "done", runs / "half", "--format", "table").err


def test_a_table_has_no_file_and_a_file_is_not_replaced_unasked(sciu: Sciu, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("mine")
    refused = sciu("report", runs / "done", "--format", "csv", "--out", tmp_path / "runs.csv")
    assert (refused.code, "must be a new file" in refused.error()) == (2, True)
    assert (tmp_path / "runs.csv").read_text() == "mine"
    assert "--format html or csv" in sciu("report", runs / "done", "--format", "table", "--out", tmp_path / "x").error()


@pytest.mark.parametrize("option", [("--previews", 3), ("--data", "faces")])
def test_what_only_a_page_has_is_refused(sciu: Sciu, runs: Path, option: tuple[str, object]) -> None:
    error = sciu("report", runs / "done", "--format", "table", *option).error()
    assert f"{option[0]} must be given with --format html" in error


def test_a_page_is_never_put_into_another_run_than_the_first(sciu: Sciu, runs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "--out must be given" in sciu("report", tmp_path / "empty", runs / "done").error()
    assert not (runs / "done/report.html").exists()


def test_torch_is_not_needed(runs: Path) -> None:
    """It takes a second to import; matplotlib takes half of one."""
    script = (
        "import sys; from pathlib import Path; from sciu.tools.report.comparison import compared;"
        f"compared([Path({str(runs / 'done')!r})]); print(sorted({{'torch', 'matplotlib'}} & {{*sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
