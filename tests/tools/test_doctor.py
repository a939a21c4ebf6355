"""`sciu-doctor` tests what it reports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Answer

ROOT = Path(__file__).resolve().parent.parent.parent


def test_findings_and_decoders(sciu: Callable[..., Answer]) -> None:
    answer = sciu("doctor", "--json")
    assert answer.code == 0
    findings = {finding["what"]: finding for finding in answer.json["findings"]}
    assert str(ROOT) in findings["sciu"]["found"]
    assert "engine 0.9" in findings["lmdb"]["found"]
    assert all(finding["remedy"] for finding in findings.values() if finding["state"] != "ok")
    decoders = answer.json["decoders"]
    assert all(decoders[codec]["host"] for codec in ("vp9", "mjpeg", "h264", "jpeg files"))
    assert all(decoders[codec]["DALI cpu"] for codec in ("vp9", "mjpeg", "jpeg files"))
    assert not decoders["h264"]["DALI cpu"]


@pytest.mark.parametrize("packages", [("torch",), ("av", "pyarrow", "PIL")])
def test_a_package_that_does_not_import_is_a_finding_with_a_remedy(tmp_path: Path, packages: tuple[str, ...]) -> None:
    for package in packages:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise ImportError('libbroken.so: cannot open shared object')")
    done = subprocess.run(
        [sys.executable, "-m", "sciu.tools.doctor"], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.count("does not import: libbroken.so") >= len(packages)
    assert done.stdout.count("pip install --force-reinstall") >= len(packages)
    assert done.stderr == ""


@pytest.mark.needs_cuda
def test_a_gpu_is_described(sciu: Callable[..., Answer]) -> None:
    answer = sciu("doctor", "--json")
    findings = {finding["what"]: finding for finding in answer.json["findings"]}
    assert findings["GPU 0"]["state"] == "ok"
    assert "DALI gpu" in answer.json["decoders"]["h264"]
