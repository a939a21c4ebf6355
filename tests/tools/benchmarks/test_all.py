"""`bench.py all`: one page of every bench; failures, stops and choices of benches."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Answer

from sciu.pipeline.dataset.synth import Synth
from sciu.tools.benchmarks.measure import environment
from sciu.tools.benchmarks.whole import command
from sciu.tools.benchmarks.whole.media import Media, cache_folder, painted
from sciu.tools.benchmarks.whole.page import page
from sciu.tools.benchmarks.whole.parts import DRY, FULL, NAMES, PARTS, Part

ROOT = Path(__file__).resolve().parents[3]
TINY = Synth(clips=4, classes=2, frames=2, size=16, codec="jpeg")


def results_of(out: Path) -> dict[str, Any]:
    """What has been measured."""
    found: dict[str, Any] = json.loads((out / "results.json").read_text())
    return found


def test_chosen_benches_make_one_page(sciu: Callable[..., Answer], tmp_path: Path) -> None:
    answer = sciu("bench", "all", "--dry", "--only", "dataset,purify", "--out", tmp_path / "out", "--cache", tmp_path)
    assert answer.code == 0, answer.err
    found = results_of(tmp_path / "out")
    assert {title: part["state"] for title, part in found["parts"].items()} == {
        "dataset: a clip table without media": "done",
        "purify: an epoch's decisions, without media": "done",
    }
    assert found["environment"]["memory_GB"] > 0
    written = (tmp_path / "out/page.md").read_text()
    assert written == answer.out
    for line in (
        "## dataset: a clip table without media",
        "| Dataset.load | ",
        "| hardware | ",
        "| instruction sets |",
    ):
        assert line in written
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"page.md", "results.json"}


def test_a_bench_that_fails_is_named_and_the_others_go_on(
    sciu: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Part("purify", "broken", lambda _sizes, _media: ["--clips", "nobody"])
    monkeypatch.setattr(command, "PARTS", (broken, PARTS[1]))
    monkeypatch.setattr(command, "painted", lambda _cache, _recipe: None)
    answer = sciu("bench", "all", "--dry", "--out", tmp_path)
    assert answer.code == 1
    assert answer.err.splitlines()[-1] == "Error: 1 of 2 failed: purify: broken"
    states = [part["state"] for part in results_of(tmp_path)["parts"].values()]
    assert states[0].startswith("failed with exit code 2: Error: Invalid value for '--clips'")
    assert states[1] == "done"
    assert f"**{states[0]}**" in (tmp_path / "page.md").read_text()


def test_a_bench_that_hangs_is_ended(
    sciu: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "PARTS", (Part("dataset", "long", lambda *_: ["--clips", "9000000"]),))
    monkeypatch.setattr(command, "painted", lambda _cache, _recipe: None)
    monkeypatch.setattr(command, "_LIMIT", 0.5)
    assert sciu("bench", "all", "--out", tmp_path).code == 1
    assert results_of(tmp_path)["parts"]["dataset: long"]["state"].startswith("did not end in 0 s")


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder whose path is short: workers have sockets in it, whose paths have 107 letters at most."""
    with tempfile.TemporaryDirectory(prefix="s-") as folder:
        yield Path(folder)


def test_stopped_it_leaves_whole_files_and_no_process(tmp_path: Path, temporary: Path) -> None:
    words = [
        "all",
        "--dry",
        "--only",
        "dataset,purify,startup",
        "--out",
        str(tmp_path / "out"),
        "--cache",
        str(tmp_path),
    ]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tools/bench.py"), *words], env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    lines = [process.stderr.readline()]
    while not lines[-1].startswith("1/3"):
        assert lines[-1], f"it ended: {lines}"
        lines.append(process.stderr.readline())
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 143, told
    assert "stopped by SIGTERM" in told
    states = {part["state"] for part in results_of(tmp_path / "out")["parts"].values()}
    assert states == {"not run"}
    assert (tmp_path / "out/page.md").read_text().count("**not run**") == 3
    assert not [*temporary.iterdir()], "the bench's temporary files"
    assert str(temporary) not in subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True).stdout


def test_choices_that_are_none_are_refused(sciu: Callable[..., Answer], tmp_path: Path) -> None:
    answer = sciu("bench", "all", "--only", "feet", "--out", tmp_path)
    assert answer.code == 2
    assert f"--only must be of {','.join(NAMES)}, but names feet." in answer.err
    answer = sciu("bench", "all", "--only", "feed", "--skip", "feed", "--out", tmp_path)
    assert answer.code == 2
    assert "--skip must leave a bench" in answer.err
    assert not [*tmp_path.iterdir()]


def test_clips_are_painted_once_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = painted(tmp_path, TINY)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    monkeypatch.setattr("sciu.tools.benchmarks.whole.media.generate", None)
    assert painted(tmp_path, TINY) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    with pytest.raises(TypeError):
        painted(tmp_path, Synth(clips=4, classes=2, frames=2, size=16, codec="jpeg", seed=1))


def test_the_cache_is_where_caches_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/sciu/bench")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache/sciu/bench"


@pytest.mark.parametrize("sizes", [FULL, DRY])
@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.title)
def test_every_part_is_a_bench_with_options_that_it_has(part: Part, sizes: Any, tmp_path: Path) -> None:
    import click

    from sciu.tools.bench import main

    bench = main.get_command(click.Context(main), part.bench)
    assert bench is not None
    media = Media(ROOT, ROOT)
    bench.make_context(part.bench, part.words(sizes, media))


def test_the_page_says_what_was_slower_and_what_is_missing() -> None:
    rows = [
        {"name": "sciu", "clips_per_second": 200.0, "spread": 0.1, "waiting": None},
        {"name": "peer", "clips_per_second": 50.0, "spread": 0.2, "waiting": 0.5},
    ]
    times = [{"name": "sciu", "group": "ours", "seconds": 2.0}, {"name": "peer", "group": "usual", "seconds": 8.0}]
    common = {"state": "done", "seconds": 3.0, "options": ["feed", "--data", f"{Path.home()}/a b"]}
    results = {
        "environment": environment(), "date": "2026-11-01", "command": "python tools/bench.py all", "dry": False,
        "parts": {
            "feed: frames": {**common, "rows": rows, "ratios": {"ours/tuned": 4.0}, "missing": ["decord (pip)"]},
            "pause: between": {**common, "rows": times},
        },
    }  # fmt: skip
    written = page(results)
    assert "| peer | 50.0 | 20% | 50% | 0.25 |" in written
    assert "| sciu | 200.0 | 10% |  | 1 |" in written
    assert "| peer | usual | 8.000 | 0.25 |" in written, "a quarter of the speed, in seconds too"
    assert "ours/tuned: **4**" in written
    assert "Not measured: decord (pip)." in written
    assert "`python tools/bench.py feed --data '~/a b'`, 3 s" in written, "it does not say whose home this is"
