"""`sciu-purify`: what it shows is what was decided, what people say is kept, mistakes get one line."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import noisy_clips
import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers import Answer
from noisy_clips import CLIPS, GIVEN, NAMES, PATHS, TRUE, UNUSABLE, begin, one_epoch

from sciu.purification import Purifier

Sciu = Callable[..., Answer]
MENDED = ~UNUSABLE & (GIVEN != TRUE)
BAD = int(np.flatnonzero(UNUSABLE)[0])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with begin(tmp_path / "run/purifier") as purifier:
        purifier.index().write(tmp_path / "run/index")
        for _ in range(3):
            one_epoch(purifier).write(tmp_path / "run/index")
    return tmp_path / "run"


def test_status(sciu: Sciu, run: Path) -> None:
    told = sciu("purify", "status", run, "--json").json
    assert (told["epoch"], told["clips"], told["pruned"]) == (4, CLIPS, UNUSABLE.sum())
    assert told["corrected"] == MENDED.sum()
    assert [epoch["pruned"] for epoch in told["epochs"]] == [0, 0, UNUSABLE.sum()]
    assert told["policy"]["prune_below"] == 0.5
    text = sciu("purify", "status", run).out
    assert "epoch 4 is open" in text
    assert "spared by guards" in text


@pytest.mark.parametrize(
    ("what", "expected"),
    [("pruned", UNUSABLE), ("corrected", MENDED), ("training", ~UNUSABLE), ("pinned", UNUSABLE & False)],
)
def test_list_chooses(sciu: Sciu, run: Path, what: str, expected: np.ndarray) -> None:
    rows = sciu("purify", "list", run, "--what", what, "--sort", "clip", "--limit", 1000, "--json").json["clips"]
    assert [row["clip"] for row in rows] == np.flatnonzero(expected).tolist()
    rows = sciu("purify", "list", run, "--what", what, "--class", "Sad", "--limit", 1000, "--json").json["clips"]
    assert len(rows) == (expected & (GIVEN == 1)).sum()
    assert all(row["given"] == "Sad" for row in rows)


def test_list_sorts_what_is_most_doubtful_first(sciu: Sciu, run: Path) -> None:
    def column(sort: str, name: str) -> list[float]:
        rows = sciu("purify", "list", run, "--what", "corrected", "--sort", sort, "--json").json["clips"]
        return [row[name] for row in rows]

    assert column("margin", "margin") == sorted(column("margin", "margin"), reverse=True)
    assert column("score", "score") == sorted(column("score", "score"))
    assert column("label-score", "label_score") == sorted(column("label-score", "label_score"))
    text = sciu("purify", "list", run, "--what", "training", "--limit", 3).out
    assert f"... and {(~UNUSABLE).sum() - 3} more" in text


def test_quarantine_and_release(sciu: Sciu, run: Path) -> None:
    clip = int(np.flatnonzero(~UNUSABLE)[0])
    told = sciu("purify", "quarantine", run, clip, "--who", "anna", "--why", "green frames", "--json").json
    assert (told["clips"][0]["status"], told["from_epoch"]) == ("quarantined", 5)
    rows = sciu("purify", "list", run, "--what", "quarantined", "--json").json["clips"]
    assert [row["clip"] for row in rows] == [clip]
    assert "quarantined: by anna: green frames" in sciu("purify", "show", run, clip).out
    assert sciu("purify", "release", run, clip, "--json").json["clips"][0]["status"] == "training"
    assert "Nothing changed." in sciu("purify", "release", run, clip).out
    assert sciu("purify", "show", run, clip).out.count("released from quarantine") == 1


def test_show_tells_a_clips_whole_life(sciu: Sciu, run: Path) -> None:
    sciu("purify", "pin", run, BAD, "--keep", "--who", "anna", "--why", "only dark")
    for name in (BAD, PATHS[BAD], Path(PATHS[BAD]).name):
        told = sciu("purify", "show", run, name, "--json").json
        assert [entry["what"].split(":")[0] for entry in told["history"]] == ["pruned", "pinned"]
        assert told["history"][1]["what"] == "pinned: stays by anna: only dark"
        assert [score["epoch"] for score in told["scores"]] == [1, 2, 3]
        assert sum(told["scores"][0]["probabilities"].values()) == pytest.approx(1, abs=1e-2)
        assert {abs(clip["clip"] - BAD) for clip in told["neighbours"]} <= {1, 2}
    text = sciu("purify", "show", run, BAD).out
    assert "pinned: stays by anna: only dark" in text
    assert "last scores" in text
    assert "before and after it" in text


def test_health(sciu: Sciu, run: Path) -> None:
    told = sciu("purify", "health", run, "--json").json
    assert [row["class"] for row in told["classes"]] == list(NAMES)
    assert sum(pair["clips"] for pair in told["pairs"]) == MENDED.sum()
    text = sciu("purify", "health", run).out
    assert "relabelled" in text
    assert "labels that the network doubts most" in text


def test_people_decide_and_take_back(sciu: Sciu, run: Path) -> None:
    told = sciu("purify", "pin", run, BAD, "--label", "Fear", "--json").json
    assert (told["clips"][0]["label"], told["from_epoch"]) == ("Fear", 5)
    assert sciu("purify", "undo", run, BAD, "--json").json["clips"][0]["status"] == "pruned"
    undone = sciu("purify", "undo", run, "--epoch", 3)
    assert f"{UNUSABLE.sum() + MENDED.sum() - 1} clips changed" in undone.out, "but for the one changed since"
    assert sciu("purify", "status", run, "--json").json["pruned"] == 1
    sciu("purify", "pin", run, 5, "--drop")
    assert sciu("purify", "pin", run, 5, "--free", "--json").json["clips"][0]["status"] == "training"


def test_a_review_goes_out_and_comes_back(sciu: Sciu, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "review.csv"
    sciu("purify", "export", run, "--what", "pruned", "--out", out)
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["action"], row["label"] = "", ""
    rows[0].update(action="keep", why="fine")
    rows[1].update(action="label", label="Happy")
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    told = sciu("purify", "import-review", run, out, "--who", "anna", "--json").json
    assert [row["status"] for row in told["clips"]] == ["pin keep", "pin label"]
    assert told["clips"][0]["why"] == "pinned: stays by anna: fine"
    assert told["clips"][1]["why"] == "pinned: is Happy by anna", "the policy's reason is not the reviewer's"
    rows[2].update(action="label", label="Joy")
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    refused = sciu("purify", "import-review", run, out)
    assert refused.code == 2
    assert f"line 4 of '{out}': class must be one of ['Happy', 'Sad', 'Fear'], but is 'Joy'" in refused.error()


@pytest.mark.parametrize("kind", ["csv", "parquet", "file_list", "cleanlab"])
def test_export(sciu: Sciu, run: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    assert sciu("purify", "export", run, "--format", kind, "--out", out, "--json").json["clips"] > 0
    if kind == "file_list":
        lines = [line.split() for line in out.read_text().splitlines()]
        assert lines == [[PATHS[clip], str(TRUE[clip])] for clip in np.flatnonzero(~UNUSABLE)]
        return
    if kind == "parquet":
        rows = pq.read_table(out).to_pylist()
    else:
        with out.open(newline="") as file:
            rows = list(csv.DictReader(file))
    assert len(rows) == CLIPS
    if kind == "cleanlab":
        assert [row["is_label_issue"] == "True" for row in rows] == MENDED.tolist()
        assert [row["is_low_quality_issue"] == "True" for row in rows] == UNUSABLE.tolist()
        assert {"label_score", "given_label", "predicted_label"} <= set(rows[0])


def test_verify_and_its_remedies(sciu: Sciu, run: Path) -> None:
    assert sciu("purify", "verify", run).out == "no problems\n"
    (run / "index/epoch_00002.list").write_text("junk 1\n")
    broken = sciu("purify", "verify", run, "--json")
    assert broken.code == 1
    assert broken.json["problems"][0]["where"] == "index of epoch 2"
    mended = sciu("purify", "verify", run, "--rewrite")
    assert mended.out.splitlines() == ["repaired: index of epoch 2", "no problems"]
    with Purifier.open(run / "purifier") as purifier, purifier.store.writing() as transaction:
        transaction._transaction.put(b"label/0000", b"x" * 300)
    assert "label/0000 (clips 0 to 65535): missing, or its checksum does not match" in sciu("purify", "verify", run).out
    assert sciu("purify", "verify", run, "--repair").code == 0


def test_compact(sciu: Sciu, run: Path) -> None:
    told = sciu("purify", "compact", run, "--json").json
    assert told["after"] < told["before"]
    assert sciu("purify", "verify", run).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "{run}", "nobody.mp4"], "clip must be an id, a path, or the end of one path, but is 'nobody.mp4'"),
        (["show", "{run}", "999"], "clip must be one of the training set's, but 999 does not exist"),
        (["pin", "{run}", "3"], "Give exactly one"),
        (["pin", "{run}", "3", "--keep", "--label", "Sad"], "Give exactly one"),
        (["pin", "{run}", "3", "--label", "Joy"], "class must be one of"),
        (["undo", "{run}"], "undo needs a clip, an epoch or both"),
        (["undo", "{run}", "--epoch", "9"], "epoch 9 must have ended to be undone"),
        (["undo", "{run}", "0"], "clip 0 has no change in effect"),
        (["list", "{run}", "--class", "Joy"], "class must be one of"),
        (["import-review", "{run}", "/no/such.csv"], "does not exist"),
        (["export", "{run}", "--format", "file_list", "--what", "pruned", "--out", "x"], "file_list exports the clips"),
        (["export", "{run}", "--out", "/dev/null"], "--out must be a new file, but '/dev/null' exists"),
        (["pin", "{run}", "3", "--keep", "--drop"], "Give exactly one"),
        (["show", "{run}", "²"], "'²': no path ends in it"),
        (["status", "/no/such/run"], "must hold a purifier's store, but has no data.mdb"),
    ],
)
def test_mistakes_get_one_line(sciu: Sciu, run: Path, arguments: list[str], message: str) -> None:
    answer = sciu("purify", *(argument.format(run=run) for argument in arguments))
    assert answer.code in (2, 3)
    assert message in answer.error()


def test_looking_while_a_training_writes(run: Path, tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, noisy_clips.__file__, run], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        for command in ("status", "list", "health", "verify"):
            looked = subprocess.run(
                [sys.executable, "-m", "sciu.tools.purify", command, run], capture_output=True, text=True, check=False
            )
            assert looked.returncode == 0, looked.stdout + looked.stderr
        refused = subprocess.run(
            [sys.executable, "-m", "sciu.tools.purify", "compact", run], capture_output=True, text=True, check=False
        )
        assert refused.returncode == 3
        assert "is being recorded to by another process" in refused.stderr
    finally:
        writer.kill()
        writer.communicate()
