"""The small network: its size, that clips of a batch do not see each other, and that its short cuts change nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sciu.models.backbones.tiny_lstm import TinyLstm, _even_out

SIZES = [32, 40, 64, 112]  # maps of 2 x 2, 3 x 3, the grid itself, 7 x 7


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


@given(seed=st.integers(0, 999), colours_innermost=st.booleans())
def test_every_clip_gets_the_same_brightness_and_contrast(seed: int, colours_innermost: bool) -> None:
    random = torch.Generator().manual_seed(seed)
    clips = torch.randn(2, 3, 3, 5, 4, generator=random) * torch.rand(2, 1, 3, 1, 1, generator=random)
    clips[1, :, 0] = 0.7  # nothing to stretch
    mean = clips.mean(dim=(1, 3, 4), keepdim=True)
    std = clips.std(dim=(1, 3, 4), keepdim=True, correction=0)
    given_so = clips.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3) if colours_innermost else clips
    torch.testing.assert_close(_even_out(given_so), (clips - mean) / (std + 0.1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_pooled_weights_are_pooled_maps(size: int) -> None:
    """The same features and gradients as those of the layers one after the other, of which old weights come."""
    network = TinyLstm().double()
    frames = torch.rand(3, 3, size, size, dtype=torch.float64)
    results = []
    for squeeze in (network._squeeze, lambda maps: network.squeeze(network.pool(maps).flatten(1))):
        network.zero_grad()
        features = squeeze(network.cnn(frames))
        features.square().sum().backward()
        gradients = [weight.grad for weight in (*network.cnn.parameters(), *network.squeeze.parameters())]
        results.append([features, *gradients])
    torch.testing.assert_close(results[0], results[1])
