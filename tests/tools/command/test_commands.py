"""What all commands share: versions, their entry, errors of the machine."""

from __future__ import annotations

import errno
import importlib.metadata
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from helpers import Answer

from sciu.pipeline.dataset.system.files import write_atomically
from sciu.pipeline.train.record.checkpoints import require_room
from sciu.pipeline.train.report.tensorboard import EventFiles
from sciu.purification.store.store import Store
from sciu.tools import version
from sciu.tools.command import Command

VERSION = importlib.metadata.version("sciu")
COMMANDS = ("data", "train", "purify", "eval", "experiment", "doctor")


@pytest.mark.parametrize(
    "words", [*((name,) for name in (*COMMANDS, "bench")), ("data", "info"), ("experiment", "run"), ("purify", "show")]
)
def test_every_command_tells_its_version(sciu: Callable[..., Answer], words: tuple[str, ...]) -> None:
    answer = sciu(*words, "--version")
    assert (answer.code, answer.out) == (0, f"sciu {VERSION}\n")


def test_the_package_tells_its_version() -> None:
    assert version() == VERSION


def test_the_package_runs_every_command(sciu: Callable[..., Answer]) -> None:
    assert all(f"\n  {name} " in sciu("__main__", "--help").out for name in COMMANDS)
    assert "Example: sciu-eval" in sciu("__main__", "eval", "--help").out
    assert "No such command" in sciu("__main__", "evaluate").error()
    done = subprocess.run([sys.executable, "-m", "sciu.tools", "--version"], check=True, capture_output=True, text=True)
    assert done.stdout == f"sciu {VERSION}\n"


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def write_a_file(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("os.fsync", full)
    write_atomically(folder / "spec.toml", b"content")


def write_to_the_store(folder: Path, _patch: pytest.MonkeyPatch) -> None:
    with closing(Store(folder / "purifier", create=True)) as store, store.writing():
        full()


def write_a_checkpoint(folder: Path, _patch: pytest.MonkeyPatch) -> None:
    require_room(folder / "checkpoints", 1 << 62)


def write_events(folder: Path, patch: pytest.MonkeyPatch) -> None:
    events = EventFiles(folder / "tensorboard", "", first=2, classes=())
    patch.setattr(events._writer, "flush", full)
    events.flush()


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_a_file, "spec.toml"), (write_to_the_store, "purifier"), (write_a_checkpoint, "checkpoints"),
        (write_events, "tensorboard"),
    ],
)  # fmt: skip
def test_a_full_disk_is_one_line_that_names_the_file_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path, pytest.MonkeyPatch], None], name: str
) -> None:
    @click.command(cls=Command)
    def command() -> None:
        with monkeypatch.context() as patch:
            write(tmp_path, patch)

    answer = CliRunner().invoke(command)
    assert answer.exit_code == 1
    (line,) = answer.stderr.splitlines()
    assert line.startswith("Error: ")
    assert f"'{tmp_path}/{name}" in line


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Free the disk"), (errno.EROFS, "Choose another place: what is there can only be read"),
        (errno.EACCES, "Get the rights to it, or choose another place"), (errno.ENOTDIR, "Correct the path"),
        (errno.EIO, "Free the disk or correct the path"),
    ],
)  # fmt: skip
def test_the_remedy_is_one_for_the_error(number: int, remedy: str) -> None:
    @click.command(cls=Command)
    def command() -> None:
        raise OSError(number, "reason", "/x")

    answer = CliRunner().invoke(command)
    assert (answer.exit_code, answer.stderr) == (1, f"Error: '/x': reason. {remedy}, then run the command again.\n")


def test_a_long_folder_for_temporary_files_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Worker processes listen on a socket below it."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))

    @click.command(cls=Command)
    def command() -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / "listener"))

    answer = CliRunner().invoke(command)
    told = f"Error: '{folder}': too long a path for a socket. Set TMPDIR to a folder with a shorter path,"
    assert (answer.exit_code, answer.stderr) == (1, f"{told} then run the command again.\n")
