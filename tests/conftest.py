"""Shared by all tests: the GPU mark, real clips made once, and the commands as their users call them."""

from __future__ import annotations

import importlib
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers import Answer, silent
from shared import made_once

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.synth import Synth, generate
from sciu.tools.__main__ import PLACES

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the workers share the cores; must be set before torch is imported
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when Triton is imported, which torch does for itself
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script; commands under test inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip GPU tests where there is none; with SCIU_REQUIRE_CUDA=1 they fail instead."""
    marked = [item for item in items if item.get_closest_marker("needs_cuda")]
    if not marked or os.environ.get("SCIU_REQUIRE_CUDA") == "1":
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """Begin each test with the same global random state, whatever ran before it in this process."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the global state, which libraries draw from
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture
def sciu() -> Callable[..., Answer]:
    """Call a command in this process, as in `sciu("data", "info", folder)`."""

    def run(tool: str, *arguments: object) -> Answer:
        module = PLACES.get(tool, tool)
        main = importlib.import_module(f"sciu.tools.{module}").main
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A small dataset of VP9 clips; for reading only."""
    return _painted(tmp_path_factory, "vp9")


@pytest.fixture(scope="session")
def frame_faces(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The same as folders of JPEG frames; for reading only."""
    return _painted(tmp_path_factory, "jpeg")


def _painted(factory: pytest.TempPathFactory, codec: str) -> Dataset:
    wanted = Synth(clips=28, frames=12, size=32, codec=codec)
    return Dataset.load(made_once(factory, codec, lambda folder: generate(wanted, folder / "faces", silent)) / "faces")


@pytest.fixture(scope="session")
def finished_run(frame_faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs on `frame_faces` that has ended; for reading only, `copy_of` makes one to change."""
    from training import start  # imports torch, for which the lines above must come first

    def train(folder: Path) -> None:
        process = start(frame_faces.folder, folder / "run", "--epochs", "2")
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error

    return made_once(tmp_path_factory, "finished", train) / "run"
