"""`sciu-export`: what it writes, what it refuses, and that it leaves no half of a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Answer
from safetensors import safe_open

from sciu.pipeline.train import export as exporting

Sciu = Callable[..., Answer]


def test_a_file_is_written_and_described(sciu: Sciu, finished_run: Path, tmp_path: Path) -> None:
    answer = sciu("export", finished_run, "--format", "torch", "--out", tmp_path / "net.safetensors")
    assert answer.out.startswith("tiny_lstm after epoch 2, 7 classes: ")
    with safe_open(tmp_path / "net.safetensors", "pt") as file:
        assert "classifier.weight" in file.keys()  # noqa: SIM118 - no dict
    described = sciu(
        "export", finished_run, "--format", "onnx", "--out", tmp_path / "net.onnx", "--checkpoint", 1, "--json"
    ).json
    assert described["run"]["epoch"] == 1
    assert described["bytes"] == (tmp_path / "net.onnx").stat().st_size
    assert described["clip"]["frames"] == 8
    assert described["input"]["shape"] == ["batch", 8, 32, 32, 3]


def test_a_file_that_exists_is_kept_unless_it_may_be_replaced(sciu: Sciu, finished_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    out.write_text("mine")
    answer = sciu("export", finished_run, "--format", "torch", "--out", out)
    assert "--out must be a new file" in answer.error()
    assert out.read_text() == "mine"
    assert sciu("export", finished_run, "--format", "torch", "--out", out, "--replace").code == 0
    assert out.stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{}/nothing"], "{}/nothing"),
        (["{}", "--checkpoint", "9"], "checkpoint '9' does not exist"),
        (["{}", "--out", "nowhere/net.onnx"], "--out must be in a folder that exists"),
    ],
)
def test_what_cannot_be_exported_is_a_line(
    sciu: Sciu, finished_run: Path, tmp_path: Path, words: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = sciu("export", "--format", "torch", "--out", "net", *(word.format(finished_run) for word in words))
    assert answer.code in (2, 3)
    assert message.format(finished_run) in answer.error()
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_leaves_the_old_file_and_nothing_else(
    sciu: Sciu, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "net"
    out.write_text("old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    answer = sciu("export", finished_run, "--format", "torch", "--out", out, "--replace")
    assert "No space left on device" in answer.error()
    assert [path.name for path in tmp_path.iterdir()] == ["net"]
    assert out.read_text() == "old"


def test_the_formats_of_the_command_are_those_that_can_be_written(sciu: Sciu) -> None:
    help_text = sciu("export", "--help").out
    assert f"[{'|'.join(exporting.FORMATS)}]" in help_text
