"""Tables say of made-up results what can be counted by hand."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import Answer

from sciu.tools.experiment.results.read import load_groups
from sciu.tools.experiment.results.shift import curve, lead

CLASSES = ["happy", "sad", "fear"]


def put(folder: Path, method: str, seed: int, confusion: Any, *, pruned: int = 0, backbone: str = "net") -> None:
    """Write a result that has these test clips, and outputs that are sure of them."""
    counts = np.array(confusion)
    recalls = np.diag(counts) / counts.sum(axis=1)
    last = {"epoch": 2, "war": float(np.trace(counts) / counts.sum()), "uar": float(recalls.mean())}
    last |= {"confusion": counts.tolist()}
    path = folder / f"results/faces/{backbone}/{method}/{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({
        "key": "x", "labels": "given",
        "data": "faces", "backbone": backbone, "method": method, "unit": str(seed), "seed": seed,
        "dataset": {"classes": CLASSES}, "last": last, "best": {**last, "chosen_on": "test"}, "epochs": [],
        "purify": {"pruned": pruned, "corrected": 0, "thresholds": {}}, "seconds": {"run": 1.0, "epochs": 1.0},
        "doubted": None,
        "detection": {
            "wrong_label": {"precision": 0.5, "recall": 0.3, "f1": 0.4},
            "class_members_kept": {"happy": 0.9, "sad": 0.7},
        },
        "train_classes": {"given": [10, 10, 10], "now": [10, 10, 10], "predicted": [20, 5, 5]},
    }))  # fmt: skip
    true, named = (each.repeat(counts.ravel()) for each in np.indices(counts.shape).reshape(2, -1))
    probs = np.full((len(true), 3), 0.3, np.float32)
    probs[np.arange(len(true)), named] = 0.4
    np.savez(path.with_suffix(".npz"), test_probs=probs, test_labels=true.astype(np.int16))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Three methods, two seeds; ours is 10 points better than plain with one and 20 with the other."""
    for seed, right in ((0, 10), (1, 12)):
        put(tmp_path, "plain", seed, [[right, 20 - right, 0], [0, 20, 0], [1, 0, 1]])
        put(tmp_path, "ours", seed, [[right + 2 + 2 * seed, 18 - right - 2 * seed, 0], [0, 20, 0], [1, 0, 1]], pruned=4)
        put(tmp_path, "oracle", seed, [[20, 0, 0], [0, 20, 0], [0, 0, 2]])
    return tmp_path


def test_means_and_paired_differences_are_those_counted_by_hand(results: Path, sciu: Callable[..., Answer]) -> None:
    rows = sciu("experiment", "table", results, "--json").json["rows"]
    by = {(row["method"], row["measure"]): row for row in rows}
    assert by["plain", "uar_large"]["mean"] == pytest.approx((0.75 + 0.8) / 2)
    assert by["ours", "uar_large"]["minus_plain"] == pytest.approx(0.075)
    low, high = by["ours", "uar_large"]["low"], by["ours", "uar_large"]["high"]
    assert (low, high) == pytest.approx((0.075 - 12.7062 * 0.025, 0.075 + 12.7062 * 0.025), abs=1e-5)
    assert by["plain", "war"]["minus_plain"] is None
    errors = [(share * (1 - share) / 42) ** 0.5 for share in (31 / 42, 33 / 42)]
    assert by["plain", "war_error"]["mean"] == pytest.approx(sum(errors) / 2)
    assert by["ours", "pruned"]["mean"] == 4
    assert by["ours", "recall_happy"]["mean"] == pytest.approx((12 + 16) / 40)
    assert by["ours", "kept_sad"]["mean"] == pytest.approx(0.7)
    assert ("ours", "kept_fear") not in by
    assert by["ours", "least_kept"]["mean"] == pytest.approx(0.7)


def test_the_tables_of_methods(results: Path, sciu: Callable[..., Answer]) -> None:
    shown = sciu("experiment", "table", results).out
    assert "UAR2" in shown
    assert "the best one was chosen on the test clips" in shown
    ours = next(line for line in shown.split("against plain, paired by seed")[1].splitlines() if "| ours" in line)
    assert "| +7.5 | -24.3 to +39.3 | 33% |" in ours


def test_each_table_is_told_once_and_only_if_its_measures_are_wanted(
    results: Path, sciu: Callable[..., Answer]
) -> None:
    def titles(*words: str) -> list[str]:
        lines = sciu("experiment", "table", results, *words).out.splitlines()
        return [line.partition(": ")[2][:13] for line in lines if line.startswith("###")]

    every = ["accuracy of t", "against plain", "against plain", "what was foun", "recall of eac", "share of each"]
    assert titles() == every
    assert titles("--metric", "war") == ["accuracy of t", "against plain", "against plain"]
    assert titles("--metric", "pruned") == ["what was foun"]


def test_a_table_in_the_shape_of_papers(results: Path, sciu: Callable[..., Answer]) -> None:
    put(results, "plain", 0, [[20, 0, 0], [0, 20, 0], [0, 0, 2]], backbone="other")
    shown = sciu("experiment", "table", results, "--shape", "paper", "--metric", "war", "--metric", "pruned").out
    assert "| backbone | method | faces WAR | faces pruned |" in shown
    assert "| other | plain | 100.0 | 0 |" in shown
    latex = sciu("experiment", "table", results, "--shape", "paper", "--format", "latex").out
    assert latex.count(r"\\") == 1 + 4
    assert r"$\pm$" in latex


def test_numbers_for_machines(results: Path, sciu: Callable[..., Answer]) -> None:
    rows = list(csv.DictReader(sciu("experiment", "table", results, "--format", "csv").out.splitlines()))
    assert {row["method"] for row in rows} == {"plain", "ours", "oracle"}
    refused = sciu("experiment", "table", results, "--metric", "wer")
    assert "--metric must be one of war, war_error, uar, uar_large" in refused.error()
    assert refused.code == 2


def test_what_only_shifts_the_prior_is_not_above_the_curve(results: Path) -> None:
    """A copy of plain training that names the first class more often is what the shift makes of it."""
    for seed in (0, 1):
        put(results, "shift", seed, [[20, 0, 0], [20, 0, 0], [2, 0, 0]])
    (group,) = load_groups(results)
    ours, shift, oracle = (lead(group, method, 10) for method in ("ours", "shift", "oracle"))
    assert ours is not None
    assert shift is not None
    assert oracle is not None
    assert ours.above
    assert oracle.above
    assert not shift.above
    along = curve(group.of("plain")["0"], group.of("shift")["0"], "predicted", 10)
    assert along[0] == pytest.approx([31 / 42, 0.75])
    assert along[-1] == pytest.approx([20 / 42, 0.5])  # all are named as the class that grew
    assert lead(group, "plain", 10) is None


def test_numbers_alone_make_tables_but_no_figures(results: Path, sciu: Callable[..., Answer]) -> None:
    for path in results.rglob("*.npz"):
        path.unlink()
    shown = sciu("experiment", "table", results).out
    assert "against plain, paired by seed" in shown
    assert "with a shifted prior" not in shown
    refused = sciu("experiment", "figures", results, "--out", results / "figures").error()
    assert "must have its .npz beside it" in refused
    assert not (results / "figures").exists()


def test_a_damaged_result_is_named(results: Path, sciu: Callable[..., Answer]) -> None:
    (results / "results/faces/net/plain/0.json").write_text("{")
    assert "0.json' is damaged" in sciu("experiment", "table", results).error()
    (results / "results/faces/net/plain/0.json").write_text('{"key": "x"}')
    assert "is damaged: data is missing" in sciu("experiment", "table", results).error()
