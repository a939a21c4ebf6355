"""The bench measures all contestants and writes the measurements; no test asserts a speed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Answer

from sciu.pipeline.dataset import Dataset
from sciu.tools.benchmarks.measure import measure


def test_medians_and_spread_of_interleaved_rounds() -> None:
    order: list[str] = []
    times = {"a": iter([1.0, 9.0, 2.0]), "b": iter([4.0, 4.0, 4.0])}

    def run(name: str) -> float:
        order.append(name)
        return next(times[name])

    rows = measure({("a", "ours"): lambda: run("a"), ("b", "usual"): lambda: run("b")}, rounds=3)
    assert order == ["a", "b"] * 3
    assert [(row.name, row.group, row.seconds, row.spread) for row in rows] == [
        ("a", "ours", 2.0, 4.0),
        ("b", "usual", 4.0, 0.0),
    ]


def test_dataset_bench_writes_rows_ratios_and_environment(sciu: Callable[..., Answer], tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    answer = sciu("bench", "dataset", "--clips", 500, "--rounds", 1, "--json", out)
    assert answer.code == 0
    written = Answer(0, out.read_text(), "").json
    assert [row["group"] for row in written["rows"]] == ["ours", "usual"]
    seconds = {row["group"]: row["seconds"] for row in written["rows"]}
    assert written["ratios"]["usual/ours"] == pytest.approx(seconds["usual"] / seconds["ours"])
    assert written["settings"] == {"clips": 500}
    assert written["environment"]["cores"] >= 1


def test_models_bench_compares_with_the_usual_way(
    sciu: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.compile", lambda network: network)  # needs a C++ compiler and half a minute
    out = tmp_path / "bench.json"
    small = ("--backbone", "resnet18_lstm", "--size", 32, "--batch-size", 2, "--frames", 2, "--rounds", 1)
    answer = sciu("bench", "models", *small, "--json", out)
    assert answer.code == 0, answer.err
    assert set(Answer(0, out.read_text(), "").json["ratios"]) == {"bf16/ours", "compiled/ours", "usual/ours"}


def test_backbone_list_counts_parameters_and_operations(sciu: Callable[..., Answer]) -> None:
    answer = sciu("bench", "models", "--backbone", "list")
    assert answer.code == 0
    former = next(line for line in answer.out.splitlines() if line.startswith("former_dfer"))
    assert former.split()[1:4] == ["112", f"{18_031_943 - 512 * 7 - 7:,}", "16.6"]
    assert len([line for line in answer.out.splitlines() if "lstm" in line]) == 6


@pytest.mark.parametrize("method", ["sciu", "auto"])
def test_purify_bench_measures_epochs_beside_np_save(sciu: Callable[..., Answer], tmp_path: Path, method: str) -> None:
    out = tmp_path / "bench.json"
    answer = sciu(
        "bench", "purify", "--clips", 300, "--epochs", 1, "--folder", tmp_path, "--json", out, "--method", method
    )
    assert answer.code == 0, answer.err
    written = Answer(0, out.read_text(), "").json
    assert [row["group"] for row in written["rows"]] == ["ours", "limit"]
    ours, limit = (row["seconds"] for row in written["rows"])
    assert written["ratios"]["ours/np_save"] == pytest.approx(ours / limit)
    assert [epoch["record_of"] for epoch in written["epochs"]][:3] == [300, 300, 300]
    assert (written["epochs"][-1]["record_of"] < 300) == (method == "sciu"), "its rule prunes some, auto finds no kind"
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]


@pytest.mark.parametrize("kind", ["faces", "frame_faces"])
def test_feed_bench_compares_with_peers_and_the_limit(
    sciu: Callable[..., Answer], tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    dataset = request.getfixturevalue(kind)
    out = tmp_path / "bench.json"
    small = ("--size", 32, "--batch-size", 4, "--rounds", 1, "--seconds", 0)
    answer = sciu("bench", "feed", "--data", dataset.folder, *small, "--json", out)
    assert answer.code == 0, answer.err
    written = Answer(0, out.read_text(), "").json
    rates = {row["group"]: max(r["clips_per_second"] for r in written["rows"] if r["group"] == row["group"])
             for row in written["rows"]}  # fmt: skip
    assert {"ours", "tuned", "usual", "cached", "copy"} == set(rates) - {"limit"}
    seconds = written["epoch_seconds"]
    assert written["ratios"]["pruned/full epoch"] == pytest.approx(seconds["pruned"] / seconds["full"])
    limit = ["ours/limit"] if "limit" in rates else []
    for name in ("ours/tuned", "ours/usual", *limit, "cached/ours", "cached/copy"):
        over, under = name.split("/")
        assert written["ratios"][name] == pytest.approx(rates[over] / rates[under])
    absent = {line.partition(" (")[0] for line in written["missing"]}
    assert absent <= {"decord", "torchcodec", "WebDataset", "libjpeg-turbo alone"}
    assert ("libjpeg-turbo alone" in absent) == ("limit" not in rates), "what is no limit is not called one"
    assert written["settings"]["crop"] == "shifted"


def test_step_bench_takes_the_step_in_every_way_there_is(
    sciu: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sciu.pipeline.train.run.build.compiled", lambda network: network.forward)
    monkeypatch.setattr("sciu.tools.benchmarks.step._PRODUCT", {"cpu": 64, "cuda": 64})
    out = tmp_path / "bench.json"
    small = ("--backbone", "tiny_lstm", "--size", 32, "--batch-size", 2, "--frames", 2, "--rounds", 1, "--steps", 1)
    answer = sciu("bench", "step", *small, "--json", out)
    assert answer.code == 0, answer.err
    written = Answer(0, out.read_text(), "").json
    rates = {row["name"]: row["clips_per_second"] for row in written["rows"]}
    assert {"eager fp32", "eager bf16"} <= set(rates)
    assert written["ratios"]["eager bf16/eager fp32"] == pytest.approx(rates["eager bf16"] / rates["eager fp32"])
    assert all(row["flops_per_second"] > 0 for row in written["rows"])
    assert {"torch.float32", "torch.bfloat16"} == set(written["reachable"])


def test_step_bench_may_be_limited_to_some_ways(
    sciu: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sciu.tools.benchmarks.step._PRODUCT", {"cpu": 64, "cuda": 64})
    out = tmp_path / "bench.json"
    small = ("--backbone", "tiny_lstm", "--size", 32, "--batch-size", 2, "--frames", 2, "--rounds", 1, "--steps", 1)
    assert sciu("bench", "step", *small, "--way", "eager fp32", "--json", out).code == 0
    written = Answer(0, out.read_text(), "").json
    assert [row["name"] for row in written["rows"]] == ["eager fp32"]
    assert set(written["reachable"]) == {"torch.float32"}, "no product that no way needs is measured"


def test_train_bench_compares_with_the_ceiling_and_the_book(
    sciu: Callable[..., Answer], tmp_path: Path, frame_faces: Dataset
) -> None:
    out = tmp_path / "bench.json"
    small = ("--backbone", "tiny_lstm", "--size", 32, "--batch-size", 4, "--rounds", 1)
    answer = sciu("bench", "train", "--data", frame_faces.folder, *small, "--json", out)
    assert answer.code == 0, answer.err
    written = Answer(0, out.read_text(), "").json
    rates = {row["group"]: row["clips_per_second"] for row in written["rows"]}
    assert set(rates) == {"ours", "cached", "ceiling", "feed", "reference"}
    in_turn = 1 / (1 / rates["ceiling"] + 1 / rates["feed"])
    assert written["ratios"]["ours/in turn"] == pytest.approx(rates["ours"] / in_turn)
    assert written["ratios"]["cached/ceiling"] == pytest.approx(rates["cached"] / rates["ceiling"])


def test_scale_bench_measures_every_part(sciu: Callable[..., Answer], tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    answer = sciu("bench", "scale", "--clips", 1000, "--ranks", 2, "--epochs", 10, "--folder", tmp_path, "--json", out)
    assert answer.code == 0, answer.err
    written = Answer(0, out.read_text(), "").json
    assert [row["stage"] for row in written["table"]][:3] == ["save", "load", "plan as one of 1"]
    for method in ("sciu", "auto"):
        assert "decide and commit" in [row["stage"] for row in written[f"epoch_{method}"]]
        assert {row["store_files"] for row in written[f"leaks_{method}"]} == {4}
    assert {(row["ranks"], row["averages"]) for row in written["ranks"]} == {
        (2, averages) for averages in ("False", "True")
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.json"]


def test_epochs_bench_compares_pruned_epochs_with_whole_ones(
    sciu: Callable[..., Answer], tmp_path: Path, frame_faces: Dataset
) -> None:
    out = tmp_path / "bench.json"
    small = ("--backbone", "tiny_lstm", "--size", 32, "--batch-size", 4, "--rounds", 1, "--pruned", 0.5)
    answer = sciu("bench", "epochs", "--data", frame_faces.folder, *small, "--json", out)
    assert answer.code == 0, answer.err
    written = Answer(0, out.read_text(), "").json
    rows = {row["name"]: row for row in written["rows"]}
    assert [*rows] == [
        "sciu, 0% pruned", "sciu, 50% pruned", "by the book, Pillow", "by the book, Pillow, InfoBatch"
    ]  # fmt: skip
    whole, half = rows["sciu, 0% pruned"], rows["sciu, 50% pruned"]
    assert half["pruned"] == pytest.approx(0.5, abs=0.05)
    assert half["share"] == pytest.approx(half["seconds"] / whole["seconds"])
    assert 0 < rows["by the book, Pillow, InfoBatch"]["pruned"] < 0.5, "half of the low losses, drawn by chance"


def test_pause_bench_times_what_lies_between_epochs(
    sciu: Callable[..., Answer], tmp_path: Path, frame_faces: Dataset
) -> None:
    out = tmp_path / "bench.json"
    small = ("--backbone", "tiny_lstm", "--batch-size", 8, "--epochs", 3)
    answer = sciu("bench", "pause", "--data", frame_faces.folder, *small, "--json", out)
    assert answer.code == 0, answer.err
    written = Answer(0, out.read_text(), "").json
    assert [row["group"] for row in written["rows"]] == ["ours", "files", "usual", "tuned"]
    assert all(row["seconds"] > 0 for row in written["rows"])


def test_startup_bench_starts_each_command_in_a_new_process(
    sciu: Callable[..., Answer], tmp_path: Path, faces: Dataset
) -> None:
    out = tmp_path / "bench.json"
    small = ("--backbone", "tiny_lstm", "--clips", 50, "--rounds", 1)
    answer = sciu("bench", "startup", "--data", faces.folder, *small, "--json", out)
    assert answer.code == 0, answer.err
    rows = {row["group"]: row for row in Answer(0, out.read_text(), "").json["rows"]}
    assert set(rows) == {"ours", "help", "imports", "python"}
    assert rows["ours"]["megabytes"] > rows["python"]["megabytes"] > 1


def test_shared_bench_trains_beside_busy_processes_and_ends_them(
    sciu: Callable[..., Answer], tmp_path: Path, frame_faces: Dataset
) -> None:
    out = tmp_path / "bench.json"
    small = ("--backbone", "tiny_lstm", "--batch-size", 8, "--frames", 1, "--rounds", 1, "--seconds", 0)
    answer = sciu(
        "bench", "shared", "--data", frame_faces.folder, *small, "--busy", 0, "--busy", 1, "--json", out
    )  # fmt: skip
    assert answer.code == 0, answer.err
    written = Answer(0, out.read_text(), "").json
    assert [row["busy"] for row in written["rows"]] == [0, 0, 1, 1]
    assert max(row["share"] for row in written["rows"] if row["busy"] == 0) == 1
    assert len(written["ratios"]) == 4
