"""`sciu-doctor` tries what it tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Answer

from sciu.tools import doctor

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


def test_a_broken_package_is_a_problem_with_a_remedy(
    sciu: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_PACKAGES", {"no_such_module": "no-such-package"})
    answer = sciu("doctor")
    assert answer.code == 1
    assert "does not import" in answer.out
    assert "pip install --force-reinstall no-such-package" in answer.out


@pytest.mark.needs_cuda
def test_a_gpu_is_described(sciu: Callable[..., Answer]) -> None:
    answer = sciu("doctor", "--json")
    findings = {finding["what"]: finding for finding in answer.json["findings"]}
    assert findings["GPU 0"]["state"] == "ok"
    assert "DALI gpu" in answer.json["decoders"]["h264"]
