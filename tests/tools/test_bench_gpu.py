"""The GPU bench loses no minute: all of it runs dry, what fails or hangs costs itself, a cut run can be read."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sciu.tools.benchmarks.gpu import command
from sciu.tools.benchmarks.gpu.bench import Bench, NotHereError, read_results, write_results
from sciu.tools.benchmarks.gpu.page import TARGETS, failures, page, targets
from sciu.tools.benchmarks.gpu.stage import STAGES, Stage
from sciu.tools.benchmarks.gpu.stages.paint import paint
from sciu.tools.doctor.decoder_table import decoder_table

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: object, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(ROOT / "tools/bench.py"), "gpu", *map(str, arguments)]
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=timeout)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    write_results(tmp_path, {"settings": {"dry": True, "step": "tiny_lstm, 4 clips"}, "stages": {}})
    return Bench(stage="race", out=tmp_path, media=tmp_path, data=None, clips=12, dry=True)


def run_stages(bench: Bench, stages: list[Stage], seconds: float) -> None:
    shared = {"out": bench.out, "media": bench.media, "data": None, "clips": 12, "dry": False}
    command.run_all(stages, shared, time.time() + seconds)


def ended(process: int) -> bool:
    """Whether a process is gone, or a zombie that was not waited for; a killed one may take a moment to die."""
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def rows(bench: Bench) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read_results(bench.out)["stages"][bench.stage]["rows"]
    return found


def test_a_dry_run_fails_nowhere_and_lists_what_needs_a_gpu(tmp_path: Path) -> None:
    done = run("--dry", "--out", tmp_path / "out")
    log = (tmp_path / "out/log.txt").read_text()
    assert done.returncode == 0, done.stdout + log
    results = read_results(tmp_path / "out")
    assert failures(results) == []
    assert [*results["stages"]] == [stage.name for stage in STAGES if not stage.minutes]
    measured = {name: stage["rows"] for name, stage in results["stages"].items()}
    assert all(measured.values()), "every stage has rows"
    assert measured["feed"]["host cache, resized"]["from_cache"] == 1
    assert measured["feed"]["files, decode auto, resized"]["from_cache"] == 0
    assert measured["race"]["jpeg, decode auto"]["clips"] == 10
    assert measured["machine"]["environment"]["packages"]["torch"]
    assert measured["survival"]["killed and resumed"]["epochs_done"] == 3
    told = (tmp_path / "out/page.md").read_text()
    assert (
        "device cache, resized | left out: a device cache needs a GPU" in told
        or measured["machine"]["environment"]["gpu"]
    )
    assert told in done.stdout


def test_a_failing_contestant_is_a_row_and_the_others_go_on(bench: Bench) -> None:
    def fail() -> dict[str, Any]:
        raise RuntimeError("CUDA error: out of luck\nand more of it")

    def leave_out() -> dict[str, Any]:
        raise NotHereError("NVDEC is missing")

    bench.measure("bad", fail)
    bench.measure("absent", leave_out)
    bench.measure("good", lambda: {"clips_per_second": 7.0})
    found = rows(bench)
    assert found["bad"]["error"] == "RuntimeError: CUDA error: out of luck"
    assert found["absent"]["left_out"] == "NVDEC is missing"
    assert found["good"]["clips_per_second"] == 7.0
    assert len(failures({"stages": {"race": {"state": "done", "rows": found}}})) == 1


def test_what_hangs_is_ended_at_its_limit_and_known_by_name(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all that it started."""
    script = bench.out / "hangs.py"
    script.write_text(
        "import subprocess, sys, time\n"
        "from sciu.tools.benchmarks.gpu.bench import Bench\n"
        "bench = Bench.of(sys.argv[1])\n"
        "bench.tell('quick', {'ms': 1.0})\n"
        "bench.tell('slow', {'state': 'begun'})\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "(bench.out / 'child').write_text(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    monkeypatch.setattr(command, "stage_command", lambda benches: [sys.executable, str(script), benches[0].text()])
    stage = Stage("g", "race", 1, "race")
    run_stages(bench, [stage], 8)
    results = read_results(bench.out)
    assert results["stages"]["race"]["state"] == "ended at its limit of 8 s"
    assert failures(results) == ["race: ended at its limit of 8 s", "race, slow: did not end"]
    assert results["stages"]["race"]["rows"]["quick"] == {"ms": 1.0}
    assert ended(int((bench.out / "child").read_text()))


def test_a_stage_that_dies_says_why(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "stage_command", lambda _: [sys.executable, "-c", "raise SystemExit('no such luck')"])
    stages = [Stage("g", "race", 1, "race"), Stage("c", "step", 1, "step")]
    run_stages(bench, stages, 30)
    told = {name: stage["state"] for name, stage in read_results(bench.out)["stages"].items()}
    assert told == {"race": "ended with 1: no such luck", "step": "ended with 1: no such luck"}


def test_every_target_is_read_from_rows_that_there_are() -> None:
    """A made-up run that meets them all, and one in which clips have the wrong pixels."""
    rate = {"clips_per_second": 1000.0, "first_epoch": 700.0, "waiting": 0.01}
    train = dict.fromkeys(("synthetic", "device cache", "host cache", "files"), rate)
    train |= {"by the book": {"clips_per_second": 100.0}, "44 % pruned": {"share": 0.58}}
    train |= {"from epoch to epoch": {"gap_seconds": 0.05}, "short epochs": {"growth_MB": 0.0}}
    step = {
        f"net, 32 clips, {way}": {"clips_per_second": value}
        for way, value in (("graph bf16", 2.0), ("eager bf16", 1.0))
    }
    made = {
        "train": train,
        "step": step,
        "race": {"jpeg": {"wrong": 0, "changed": 0}},
        "tests": {"a": {"outcome": "passed"}},
    }
    results: dict[str, Any] = {
        "settings": {"dry": False, "step": "net, 32 clips"},
        "stages": {name: {"state": "done", "seconds": 1.0, "rows": told} for name, told in made.items()},
    }
    assert [line["met"] for line in targets(results)] == [True] * len(TARGETS)
    assert "**no**" not in page(results)
    results["stages"]["race"]["rows"]["jpeg"] = {"wrong": 2, "changed": 1, "error": "3 of them"}
    assert [line["measured"] for line in targets(results) if line["met"] is False] == [3.0]
    assert "**failed**: 3 of them" in page(results)
    assert all(line["met"] is None for line in targets({"settings": results["settings"], "stages": {}}))


def test_stages_are_chosen_with_the_media_that_they_need(tmp_path: Path) -> None:
    assert [stage.name for stage in command.chosen("c,g", dry=False)] == ["media", "race", "step"]
    assert [stage.name for stage in command.chosen("a", dry=False)] == ["machine"]
    assert sum(stage.seconds for stage in STAGES) == 480
    wrong = run("--dry", "--out", tmp_path, "--stages", "a,z")
    assert wrong.returncode == 2
    assert "names z" in wrong.stderr


WITHOUT_METADATA = """
import importlib.metadata
known = importlib.metadata.version
def version(name):
    if name == "sciu":
        raise importlib.metadata.PackageNotFoundError(name)
    return known(name)
importlib.metadata.version = version
from sciu.tools.benchmarks.measure import environment
print(environment()["packages"])
"""


def test_the_environment_is_named_where_sciu_is_not_installed() -> None:
    """As on a machine that has the packages and a checkout: PYTHONPATH=typings."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_METADATA], check=True, capture_output=True, text=True,
        env={"PYTHONPATH": str(ROOT / "typings")},
    )  # fmt: skip
    assert "torch" in done.stdout
    assert "sciu" not in done.stdout


def test_trying_every_encoder_leaves_the_priority_alone() -> None:
    """SVT-AV1, called by root, would make real-time processes of everything that is started later."""
    assert "av1" in decoder_table()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_command_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tools/bench.py"), "gpu", "--dry", "--out", str(tmp_path / "out"), "--stages", "h"],
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while not list(stages_of(process.pid)) and time.monotonic() < until:
        time.sleep(0.1)
    (stage,) = stages_of(process.pid)
    process.kill()
    process.wait()
    while not ended(stage) and time.monotonic() < until:
        time.sleep(0.1)
    assert ended(stage)


def stages_of(command: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{command}/task/{command}/children").read_text().split()]


def test_clips_differ_from_each_other_and_in_every_frame() -> None:
    one, other = paint(1, 16, 64), paint(2, 16, 64)
    assert abs(one[0].astype(int) - other[0]).mean() > 30
    assert len({frame.tobytes() for frame in one}) > 12
