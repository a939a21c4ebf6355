"""A grid from end to end: stopped, killed, resumed, with a run that fails; then its tables and figures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.dom import minidom

import numpy as np
import pytest
from helpers import Answer
from shared import copy_of, made_once
from training import wait_for

from sciu.pipeline.dataset import Dataset
from sciu.tools.experiment.grid.processes import last_line
from sciu.tools.experiment.grid.sources import pruned_at_random, true_labels, without_part

SPEC = """
name = "toys"
title = "Painted faces, two epochs"
seeds = [10, 11]
keep_runs = false

[settings]
preset = "demo"
pipeline = "torch"
epochs = 2
size = 32
frames = 4
batch_size = 8
lr_warmup = 1.0
warmup = 1
window = 1
previews = 0

[[data]]
name = "faces"
synth = { clips = 42, classes = 3, frames = 4, size = 32, codec = "jpeg", mislabel = 0.2, low_quality = 0.1 }

[[method]]
method = "plain"

[[method]]
method = "sciu"
prune_below = 0.9

[[method]]
name = "oracle"
labels = "truth"

[[method]]
name = "random"
labels = "random"
of = "sciu"

[[method]]
name = "without a fifth"
labels = "part"
part = 2

[[method]]
name = "broken"
weights = "/nowhere.pt"

[[method]]
name = "of broken"
labels = "random"
of = "broken"
"""
RUNS = [f"faces/tiny_lstm/{each}" for each in ("plain/10", "plain/11", "sciu/10", "sciu/11", "oracle/10", "random/10")]
ONLY = [word for run in RUNS for word in ("--only", run)]
ONLY += ["--only", "*/of broken/10", "--only", "*/without a fifth/10"]
TOLD = ("key", "last", "best", "epochs", "detection", "train_classes")


@dataclass(frozen=True)
class Grid:
    """A grid that was interrupted twice and has ended."""

    folder: Path
    spec: Path
    refused: Answer
    answer: Answer

    def result(self, run: str) -> dict[str, Any]:
        """What came of a run."""
        content: dict[str, Any] = json.loads((self.folder / "results" / f"{run}.json").read_text())
        return content

    def arrays(self, run: str) -> dict[str, Any]:
        """What is known of each clip."""
        with np.load(self.folder / "results" / f"{run}.npz") as file:
            return dict(file)


def call(tool: str, *words: object) -> Answer:
    """Run a command in its own process."""
    done = subprocess.run(command(tool, *words), check=False, capture_output=True, text=True)
    return Answer(done.returncode, done.stdout, done.stderr)


def command(tool: str, *words: object) -> list[str]:
    return [sys.executable, "-m", "sciu.tools", tool, *map(str, words)]


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Grid:
    """Stop a grid by Ctrl-C, kill the next process, let a third one end it."""
    folder = made_once(tmp_path_factory, "grid", interrupted_grid)
    refused, answer = (Answer(**json.loads((folder / f"{name}.json").read_text())) for name in ("refused", "answer"))
    return Grid(folder / "out", folder / "spec.toml", refused, answer)


def interrupted_grid(folder: Path) -> None:
    spec, out = folder / "spec.toml", folder / "out"
    spec.write_text(SPEC)
    words = ("run", spec, "--out", out, "--resume", *ONLY)
    first = subprocess.Popen(command("experiment", *words), stderr=subprocess.PIPE, text=True)
    wait_for(out / "logs/faces/tiny_lstm/plain/10.log", first, 300)
    refused = call("experiment", *words)
    first.send_signal(signal.SIGINT)
    assert f"Error: stopped by SIGINT; --resume continues the grid in '{out}'" in first.communicate()[1]
    assert first.returncode == 130
    second = subprocess.Popen(command("experiment", *words), stderr=subprocess.PIPE, text=True)
    wait_for(out / f"results/{RUNS[0]}.json", second, 300)
    second.kill()
    second.communicate()
    for name, said in (("refused", refused), ("answer", call("experiment", *words, "--json"))):
        (folder / f"{name}.json").write_text(json.dumps(asdict(said)))


def test_a_grid_goes_on_after_all_and_tells_what_failed(grid: Grid) -> None:
    told = grid.answer.json
    assert grid.answer.code == 1
    assert list(told["failed"]) == ["faces/tiny_lstm/broken/10"]
    assert "nowhere.pt" in told["failed"]["faces/tiny_lstm/broken/10"]
    assert told["skipped"] == {"faces/tiny_lstm/of broken/10": "faces/tiny_lstm/broken/10"}
    assert told["runs"] == 9
    assert RUNS[0] not in told["done"]  # it was done before the kill
    assert all((grid.folder / "results" / f"{run}.json").exists() for run in RUNS)
    assert "failed: Error: " in grid.answer.err


def test_in_the_background_it_ignores_an_interrupt_and_stops_at_sigterm(tmp_path: Path) -> None:
    """A shell script begins it so, with `&`: its runs ignore the interrupt, too, and save at a SIGTERM."""
    spec, out = tmp_path / "spec.toml", tmp_path / "out"
    spec.write_text(SPEC.replace("epochs = 2", "epochs = 5000"))
    words = command("experiment", "run", spec, "--out", out, "--only", "*/plain/10")
    background = ["bash", "-c", 'trap "" INT; exec "$@"', "bash", *words]
    process = subprocess.Popen(background, stderr=subprocess.PIPE, text=True)
    run = out / "runs/faces/tiny_lstm/plain/10"
    wait_for(run / "index/epoch_00002.json", process, 300)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for number in (process.pid, *map(int, children)):
        os.kill(number, signal.SIGINT)
    epochs = len(list((run / "index").glob("*.json")))
    wait_for(run / f"index/epoch_{epochs + 2:05d}.json", process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert f"Error: stopped by SIGTERM; --resume continues the grid in '{out}'" in err
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped by SIGTERM; saved in epoch" in (out / "logs/faces/tiny_lstm/plain/10.log").read_text()


def test_a_second_process_is_refused(grid: Grid) -> None:
    assert grid.refused.code == 3
    assert "is being written by another process" in grid.refused.error()


def test_a_result_says_all_that_tables_need(grid: Grid) -> None:
    result, arrays = grid.result(RUNS[2]), grid.arrays(RUNS[2])
    run = RUNS[2].replace("faces", "runs/faces")
    assert result["command"].startswith(f"sciu-train data/faces --out {run} --resume"), "no folder of this machine"
    assert (result["data"], result["method"], result["seed"], result["labels"]) == ("faces", "sciu", 10, "given")
    assert [epoch["epoch"] for epoch in result["epochs"]] == [1, 2]
    assert result["last"]["war"] == result["epochs"][-1]["war"]
    right = arrays["test_probs"].argmax(axis=1) == arrays["test_labels"]
    assert right.mean() == pytest.approx(result["last"]["war"])
    assert (arrays["now"] < 0).sum() == result["purify"]["pruned"] > 0
    assert sum(result["train_classes"]["given"]) == len(arrays["train_ids"]) == len(arrays["true"])
    assert not (grid.folder / "runs" / RUNS[2] / "checkpoints").exists()  # keep_runs = false
    assert (grid.folder / "runs" / RUNS[2] / "run.json").exists()


def test_the_oracle_has_true_labels_and_the_random_run_as_many_as_what_it_is_held_against(grid: Grid) -> None:
    dataset = Dataset.load(grid.folder / "data/faces")
    oracle, random, sciu = (grid.arrays(f"faces/tiny_lstm/{name}/10") for name in ("oracle", "random", "sciu"))
    assert np.array_equal(oracle["given"], oracle["true"])
    assert not oracle["unusable"].any()
    assert np.array_equal(np.flatnonzero(true_labels(dataset, 1, unjudged=True) >= 0), oracle["train_ids"])
    assert len(random["given"]) == (sciu["now"] >= 0).sum() < len(sciu["given"])
    assert np.array_equal(random["given"], dataset.labels[random["train_ids"]])
    assert "sha256" in grid.result("faces/tiny_lstm/oracle/10")["labels_from"]


def test_a_part_is_kept_from_the_network_and_scored_by_it(grid: Grid) -> None:
    dataset, arrays = Dataset.load(grid.folder / "data/faces"), grid.arrays("faces/tiny_lstm/without a fifth/10")
    unseen = arrays["unseen_ids"]
    assert np.array_equal(np.sort(np.concatenate([unseen, arrays["train_ids"]])), dataset.ids("train", 1))
    assert np.array_equal(arrays["unseen_given"], dataset.labels[unseen])
    assert np.allclose(arrays["unseen_probs"].sum(axis=1), 1, atol=1e-3)
    assert len(arrays["unseen_true"]) == len(unseen) > 0


def test_repeated_it_comes_to_the_same(grid: Grid, tmp_path: Path) -> None:
    again = call("experiment", "run", grid.spec, "--out", tmp_path / "out", "--only", "*/sciu/10")
    assert again.code == 0, again.err
    repeated = Grid(tmp_path / "out", grid.spec, again, again)
    one, other = grid.result(RUNS[2]), repeated.result(RUNS[2])
    assert {name: one[name] for name in TOLD} == {name: other[name] for name in TOLD}
    arrays, others = grid.arrays(RUNS[2]), repeated.arrays(RUNS[2])
    assert arrays.keys() == others.keys()
    assert all(np.array_equal(arrays[name], others[name], equal_nan=True) for name in arrays)


def test_what_is_done_is_listed_and_another_spec_is_refused(
    grid: Grid, tmp_path: Path, sciu: Callable[..., Answer]
) -> None:
    words = ("experiment", "run", grid.spec, "--out", grid.folder)
    listed = sciu(*words, "--dry-run", "--json").json
    assert {listed[run] for run in RUNS} == {"done"}
    assert listed["faces/tiny_lstm/of broken/10"] == "after faces/tiny_lstm/broken/10"
    assert "must be new or empty" in sciu(*words).error()
    assert "matches none" in sciu(*words, "--only", "nothing").error()
    assert "--data must be NAME=PATH with NAME one of faces" in sciu(*words, "--data", "x=/y").error()
    other = tmp_path / "spec.toml"
    other.write_text(SPEC.replace("epochs = 2", "epochs = 3"))
    assert (
        "must be the result of this spec's run"
        in sciu("experiment", "run", other, "--out", grid.folder, "--resume", "--dry-run").error()
    )
    other.write_text(SPEC.replace("batch_size = 8", "batch_size = 0"))
    assert "batch_size must be 1 to 65,536" in sciu("experiment", "run", other, "--out", tmp_path / "new").error()
    assert not (tmp_path / "new").exists()


def test_a_result_without_its_arrays_is_made_again(grid: Grid, tmp_path: Path, sciu: Callable[..., Answer]) -> None:
    """The run itself is kept, so it only ends again; without its checkpoint it is trained again, to the same end."""
    copy = copy_of(grid.folder, tmp_path / "out")
    (copy / f"results/{RUNS[2]}.npz").unlink()
    words = ("run", grid.spec, "--out", copy, "--only", RUNS[2])
    assert sciu("experiment", *words, "--dry-run", "--json").json == {RUNS[2]: "to run"}
    again = call("experiment", *words, "--resume", "--json")
    assert (again.code, again.json["done"]) == (0, [RUNS[2]]), again.err
    arrays, before = Grid(copy, grid.spec, again, again).arrays(RUNS[2]), grid.arrays(RUNS[2])
    assert all(np.array_equal(arrays[name], before[name], equal_nan=True) for name in arrays.keys() | before.keys())


def test_tables_and_figures_of_it(grid: Grid, tmp_path: Path, sciu: Callable[..., Answer]) -> None:
    shown = sciu("experiment", "table", grid.folder)
    assert shown.code == 0
    assert "| oracle | 1 |" in shown.out
    made = sciu("experiment", "figures", grid.folder, "--out", tmp_path / "figures", "--json").json["figures"]
    assert len(made) >= 5
    for path in map(Path, made):
        minidom.parseString(path.read_text())
        assert len(path.with_suffix(".csv").read_text().splitlines()) > 1
    assert "has no results" in sciu("experiment", "table", tmp_path).error()


def test_random_pruning_takes_as_many_and_never_the_same_for_another_seed() -> None:
    first = np.array([0, 1, -1, 1, 0, 1, 0, 1], np.int16)
    last = np.array([0, -1, -1, 1, 1, -1, 0, 1], np.int16)
    draws = [pruned_at_random(first, last, seed) for seed in range(20)]
    assert all((draw >= 0).sum() == 5 for draw in draws)
    assert all(np.array_equal(draw[draw >= 0], first[draw >= 0]) for draw in draws)
    assert len({draw.tobytes() for draw in draws}) > 5
    assert np.array_equal(draws[3], pruned_at_random(first, last, 3))


def test_five_parts_are_all_clips_once_and_have_their_share_of_each_class(grid: Grid) -> None:
    dataset = Dataset.load(grid.folder / "data/faces")
    train = dataset.ids("train", 1)
    parts = [np.setdiff1d(train, np.flatnonzero(without_part(dataset, 1, part, 10) >= 0)) for part in range(1, 6)]
    assert np.array_equal(np.sort(np.concatenate(parts)), train)
    for k in range(3):
        counts = [int((dataset.labels[part] == k).sum()) for part in parts]
        assert max(counts) - min(counts) <= 1


def test_the_last_line_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("a line\nError: the last.\n\n")
    assert last_line(log) == "Error: the last."
    os.truncate(log, 0)
    assert last_line(log) == "no output"
