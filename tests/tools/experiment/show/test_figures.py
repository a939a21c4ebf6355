"""Figures of made-up results: what they show is in their CSV files, and they are files of any format."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from statistics import stdev

import numpy as np
import pytest
from helpers import Answer

from sciu.tools.experiment.show.charts import Curve, chart

CLASSES = ["happy", "sad"]
STARTS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
WAR = {("plain", 0): 0.5, ("plain", 1): 0.7, ("ours", 0): 0.8, ("ours", 1): 0.9}


def put(folder: Path, method: str, seed: int) -> None:
    """Write the result of a run that pruned a clip and corrected another, unless it is a plain one."""
    war = WAR[method, seed]
    last = {"epoch": 1, "war": war, "uar": war, "confusion": [[50, 50], [0, 100]]}
    path = folder / f"results/faces/net/{method}/{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({
        "key": "x", "labels": "given", "data": "faces", "backbone": "net", "method": method, "unit": str(seed),
        "seed": seed, "dataset": {"classes": CLASSES}, "last": last, "best": {**last, "chosen_on": "test"},
        "epochs": [{"epoch": 1, "war": war, "labels_right": None}],
        "purify": {"pruned": 1, "corrected": 1, "thresholds": {}},
        "seconds": {"run": 1.0, "epochs": 1.0}, "doubted": None, "detection": None,
        "train_classes": {"given": [20, 20], "now": [20, 20], "predicted": [20, 20]},
    }))  # fmt: skip
    given, ours = np.arange(40) % 2, method == "ours"
    now = given.copy()
    now[:2] = [-1, 0] if ours else now[:2]
    np.savez(
        path.with_suffix(".npz"), given=given, now=now, weight=np.where(now < 0, 0.1, 0.9) if ours else np.ones(40),
        test_probs=np.full((40, 2), [0.8, 0.2], np.float32), test_labels=given,
    )  # fmt: skip


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for method, seed in WAR:
        put(tmp_path, method, seed)
    return tmp_path


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"faces_net_{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", STARTS)
def test_figures_are_files_with_their_numbers(sciu: Callable[..., Answer], results: Path, kind: str) -> None:
    out = results / "figures"
    answer = sciu("experiment", "figures", results, "--out", out, "--format", kind, "--json")
    assert answer.code == 0, answer.err
    pictures = [Path(path) for path in answer.json["figures"]]
    names = {path.stem.removeprefix("faces_net_") for path in pictures}
    assert names == {"confusion", "war_over_epochs", "reliability_test", "weights", "corrections", "war_uar"}
    assert {path.suffix for path in out.iterdir()} == {f".{kind}", ".csv"}
    assert all(path.read_bytes().startswith(STARTS[kind]) for path in pictures)
    war = {row["method"]: row for row in rows_of(out, "war_over_epochs")}
    assert float(war["plain"]["WAR"]) == pytest.approx(0.6)
    assert float(war["ours"]["deviation"]) == pytest.approx(stdev([0.8, 0.9]))
    (right,) = [row for row in rows_of(out, "reliability_test") if row["method"] == "ours"]
    assert [float(right[name]) for name in ("probability", "share right", "clips")] == pytest.approx([0.8, 0.5, 80])
    changed = [row for row in rows_of(out, "corrections") if float(row["value"])]
    assert [(row["class"], row["corrected to"], float(row["value"])) for row in changed] == [("sad", "happy", 1.0)]


def drawn(*curves: Curve) -> str:
    return chart("some", "epoch", "WAR", curves)("svg").decode()


def test_a_few_points_have_bars_and_many_a_band() -> None:
    few, many = ([(x, 0.5, 0.1) for x in range(count)] for count in (5, 50))
    assert "LineCollection" in drawn(Curve("a", few, 0))
    assert "LineCollection" not in (band := drawn(Curve("a", many, 0)))
    assert "FillBetween" in band
    alone = drawn(Curve("a", [(x, 0.5) for x in range(5)], 0))
    assert "LineCollection" not in alone
    assert "FillBetween" not in alone


def test_curves_are_told_apart_by_more_than_colour() -> None:
    looks = {drawn(Curve("same", [(0, 0), (1, 1)], k)) for k in range(16)}
    assert len(looks) == 16


def test_long_names_of_methods_make_the_picture_wider() -> None:
    widths = [
        float(drawn(Curve(name, [(0, 0), (1, 1)], 0)).split('width="')[1].split("pt")[0]) for name in ("a", "a" * 60)
    ]
    assert widths[1] > widths[0] + 200
