"""The decoder's capabilities are queried from the driver."""

from __future__ import annotations

import ctypes

import pytest

from sciu.pipeline.feed.files import nvdec


def test_the_structure_has_the_size_of_the_sdk() -> None:
    assert ctypes.sizeof(nvdec._Caps) == 88


def test_without_the_library_there_are_no_capabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvdec, "LIBRARY", "libnosuch.so.1")
    assert nvdec.library() is None
    assert nvdec.capabilities() == []


@pytest.mark.needs_cuda
def test_a_gpu_decodes_h264() -> None:
    import torch

    torch.zeros(1, device="cuda")
    able = {capability.codec: capability for capability in nvdec.capabilities()}
    assert able["h264"].supported
    assert able["h264"].max_size >= (1920, 1080)
