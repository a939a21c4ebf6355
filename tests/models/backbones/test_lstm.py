"""LSTMs work in float32, whatever the rest of a network works in."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sciu.models.backbones.lstm import in_float32
from sciu.models.registry import build_backbone

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.needs_cuda)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["tiny_lstm", "resnet18_lstm"])
@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_under_autocast(name: str, precision: torch.dtype, device: str) -> None:
    """CuDNN's would work in fp16 under bf16 autocast too, and lose small gradients."""
    backbone = build_backbone(name).to(device)
    assert isinstance(backbone.lstm, nn.LSTM)
    seen: list[torch.dtype] = []
    backbone.lstm.register_forward_hook(lambda _lstm, given, made: seen.extend([given[0].dtype, made[0].dtype]))
    with torch.autocast(device, precision):
        backbone(torch.rand(2, 4, 3, 32, 32, device=device))
    assert seen == [torch.float32, torch.float32]


@pytest.mark.parametrize("device", DEVICES)
def test_small_gradients_come_through(device: str) -> None:
    lstm = nn.LSTM(4, 4, batch_first=True).to(device)
    features = torch.rand(1, 3, 4, device=device, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast(device, torch.bfloat16):
        loss = in_float32(lstm, features).sum() * 1e-9  # below the smallest number of fp16
    loss.backward()
    assert all(weight.grad is not None and bool(weight.grad.any()) for weight in lstm.parameters())


def test_a_network_in_double_precision_stays_so() -> None:
    lstm = nn.LSTM(4, 4, batch_first=True).double()
    assert in_float32(lstm, torch.rand(1, 3, 4).double()).dtype == torch.float64
