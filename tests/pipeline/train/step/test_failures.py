"""Errors of full memory and lost ranks say what to change; other errors are not changed."""

from __future__ import annotations

import pytest

from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import TrainError
from sciu.pipeline.train.step.failures import explain_failures

TROUBLES = {
    "CUDA out of memory. Tried to allocate 2.00 GiB.": "32 clips x 16 frames: .* Try --batch-size 16",
    "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.": "Try --batch-size 16",
    "[../gloo/transport/tcp/pair.cc:545] Connection closed by peer [127.0.0.1]:1": "has ended or cannot be reached",
    "NCCL communicator was aborted on rank 1.": "has ended or cannot be reached",
}


@pytest.mark.parametrize("message", list(TROUBLES))
def test_what_to_change(message: str) -> None:
    with pytest.raises(TrainError, match=TROUBLES[message]), explain_failures(Settings()):
        raise RuntimeError(message)


def test_a_bug_stays_one() -> None:
    with pytest.raises(RuntimeError, match="shape mismatch"), explain_failures(Settings()):
        raise RuntimeError("shape mismatch")
