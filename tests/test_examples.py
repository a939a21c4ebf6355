"""The examples run and show what they promise."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Answer, write_clip

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def test_the_purifier_mends_any_loop() -> None:
    script = EXAMPLES / "purify_any_loop.py"
    assert len(script.read_text().splitlines()) <= 60
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    before, after, kept = re.findall(r"[\d.]+", done.stdout.splitlines()[-1])
    assert float(before) < 82
    assert float(after) > 95
    assert int(kept) > 1500


def test_an_exported_file_alone_says_what_the_run_says(
    sciu: Callable[..., Answer], finished_run: Path, tmp_path: Path
) -> None:
    write_clip(tmp_path / "clip.mp4", "h264", frames=30)
    model = tmp_path / "model.onnx"
    assert sciu("export", finished_run, "--format", "onnx", "--out", model).code == 0
    script = EXAMPLES / "onnx_predict.py"
    for given, code, told in (([model], 2, "Usage: "), ([model, tmp_path / "no.mp4"], 1, "no.mp4' does not exist")):
        done = subprocess.run([sys.executable, script, *given], capture_output=True, text=True, check=False)
        assert (done.returncode, told in done.stderr, done.stderr.count("\n")) == (code, True, 1)
    assert "sciu" not in re.sub(r'""".*?"""|"sciu"', "", script.read_text(), flags=re.DOTALL), (
        "it needs nothing of ours"
    )
    words: list[str | Path] = [sys.executable, script, model, tmp_path / "clip.mp4"]
    alone = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    said = sciu("predict", finished_run, tmp_path / "clip.mp4", "--device", "cpu", "--json").json["clips"][0]
    assert alone["label"] == said["label"]
    assert alone["probabilities"] == pytest.approx(said["probabilities"], abs=1e-3)
    assert alone["weight"] == pytest.approx(said["weight"], abs=1e-3)
