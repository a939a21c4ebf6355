"""The small network: its size, and that clips of a batch do not see each other."""

from __future__ import annotations

import pytest
import torch

from sciu.models.backbones.tiny_lstm import TinyLstm


def test_it_is_small() -> None:
    assert sum(parameter.numel() for parameter in TinyLstm().parameters()) < 300_000


@pytest.mark.parametrize(("frames", "size"), [(1, 32), (16, 64), (5, 112)])
def test_any_length_and_size(frames: int, size: int) -> None:
    network = TinyLstm().eval()
    clips = torch.rand(3, frames, 3, size, size)
    together = network(clips)
    assert together.shape == (3, TinyLstm.embedding_size)
    alone = torch.cat([network(clip[None]) for clip in clips])
    torch.testing.assert_close(together, alone)
