"""Files and folders are complete or missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sciu.pipeline.dataset import DatasetError
from sciu.pipeline.dataset.system.files import new_folder, only_writer, write_atomically
from sciu.pipeline.errors import SettingError


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    code = (
        "import resource, sys, pathlib; from sciu.pipeline.dataset.system.files import write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "write_atomically(pathlib.Path(sys.argv[1]), b'x' * 1000)\n"
    )
    failed = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert f"File too large: '{path}'" in failed.stderr
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_only_when_it_is_finished(tmp_path: Path) -> None:
    out = tmp_path / "a" / "out"
    with new_folder(out, maker="test") as partial:
        (partial / "file").write_text("x")
        assert not out.exists()
    assert [entry.name for entry in out.iterdir()] == ["file"]
    assert [entry.name for entry in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("keep", [False, True])
def test_a_failure_leaves_nothing_or_what_was_asked_to_be_kept(tmp_path: Path, keep: bool) -> None:
    out = tmp_path / "out"
    with pytest.raises(RuntimeError), new_folder(out, keep_partial=keep, maker="test") as partial:
        (partial / "file").write_text("x")
        raise RuntimeError
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == (
        ["out.partial", "out.partial/.sciu-partial", "out.partial/file"] if keep else []
    )


def test_leftovers_of_a_killed_run_do_not_reach_the_next(tmp_path: Path) -> None:
    (tmp_path / "out.partial" / "deep").mkdir(parents=True)
    (tmp_path / "out.partial" / "deep" / "old").write_text("x")
    (tmp_path / "out.partial" / ".sciu-partial").write_text("test")
    with new_folder(tmp_path / "out", maker="test"):
        pass
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("marker", [None, "another maker"])
def test_a_partial_folder_of_somebody_else_is_left_alone(tmp_path: Path, marker: str | None) -> None:
    partial = tmp_path / "out.partial"
    partial.mkdir()
    (partial / "precious").write_text("x")
    if marker:
        (partial / ".sciu-partial").write_text(marker)
    with pytest.raises(DatasetError, match="holds .* Remove it"), new_folder(tmp_path / "out", maker="test"):
        pass
    assert (partial / "precious").read_text() == "x"
    assert (partial / ".sciu-partial").exists() == bool(marker)


@pytest.mark.parametrize("link", ["out", "out.partial"])
def test_links_are_not_followed(tmp_path: Path, link: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="must not be a link"), new_folder(tmp_path / "out", maker="test"):
        pass


def test_the_current_folder_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError, match="the current folder"), new_folder(Path(), maker="test"):
        pass


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    with pytest.raises(SettingError, match="must be new or empty"), new_folder(tmp_path, maker="test"):
        pass
    assert (tmp_path / "precious").read_text() == "x"


def test_only_one_process_writes(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from sciu.pipeline.dataset.system.files import only_writer\n"
        "with only_writer(pathlib.Path(sys.argv[1])): pass"
    )
    with only_writer(tmp_path / "lock"):
        second = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "lock")], capture_output=True, text=True, check=False
        )
    assert "being written by another process" in second.stderr
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "lock")], check=True)
