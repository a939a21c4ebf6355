"""What an earlier version wrote opens, goes on to the same end, and is reported the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import Answer
from training import COMPATIBILITY, indexes, log, tensors

ARCHIVES = sorted(COMPATIBILITY.glob("*.tar.xz"))
assert ARCHIVES, "without an archive nothing is tested"
METHODS = ["sciu", "auto"]
SAME_ON_ALL_PROCESSORS = {"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module", params=ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what one version wrote."""
    folder = tmp_path_factory.mktemp("written")
    with tarfile.open(request.param) as archive:
        archive.extractall(folder, filter="data")
    return folder


def saved(path: Path) -> Any:
    return json.loads(path.read_text())


def require_close(found: Any, expected: Any) -> None:
    """Compare JSON, floating point numbers to within what processors differ by; there may be more keys now."""
    if isinstance(expected, dict):
        assert found.keys() >= expected.keys()
        for name, value in expected.items():
            require_close(found[name], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            require_close(one, other)
    else:
        assert found == (pytest.approx(expected, rel=1e-5) if isinstance(expected, float) else expected)


def readable(contents: dict[str, bytes]) -> dict[str, Any]:
    """Return the contents of index files; those of JSON files read, because they may say more now."""
    return {name: json.loads(content) if name.endswith(".json") else content for name, content in contents.items()}


@pytest.mark.parametrize("method", METHODS)
def test_a_stopped_run_ends_as_it_would_have_ended_then(written: Path, method: str) -> None:
    command = [sys.executable, "-m", "sciu.tools.train", "faces", "--out", method, "--resume"]
    environment = {**os.environ, **SAME_ON_ALL_PROCESSORS}
    subprocess.run(command, cwd=written, env=environment, check=True)
    run, end = written / method, written / f"{method}-end"
    then = {name: content for name, content in indexes(end).items() if name >= "epoch_00004"}
    require_close(readable(indexes(run)), readable(then))
    require_close(log(run), log(end))
    found, expected = tensors(run), tensors(end)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.parametrize("method", METHODS)
def test_a_finished_run_is_reported_the_same(
    written: Path, method: str, sciu: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(written)
    end = f"{method}-end"
    for command in ("status", "list"):
        require_close(sciu("purify", command, end, "--json").json, saved(written / end / f"{command}.json"))
    require_close(sciu("eval", end, "--device", "cpu", "--json").json, saved(written / end / "eval.json"))
    assert sciu("purify", "verify", end).code == 0


def test_a_dataset_is_described_the_same(written: Path, sciu: Callable[..., Answer]) -> None:
    now, then = sciu("data", "info", written / "faces", "--json").json, saved(written / "info.json")
    require_close({**now, "media": ""}, {**then, "media": ""})  # where the folder lies
