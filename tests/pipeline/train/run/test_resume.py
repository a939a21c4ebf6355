"""What a rank hands to another one to be saved."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from sciu.models.backbones.tiny_lstm import TinyLstm
from sciu.pipeline.train.run.resume import own_state
from sciu.pipeline.train.step.average import Average


@dataclass
class AStep:
    """As much of a step as is asked for."""

    network: torch.nn.Module
    device: torch.device
    average: Average


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.needs_cuda)])
def test_it_is_on_the_host(device: str) -> None:
    """Unpickled elsewhere, a tensor of a GPU would open a context there."""
    place = torch.device(device)
    network = TinyLstm().to(place)
    own = own_state(AStep(network, place, Average(network, 0.9)))  # type: ignore[arg-type]
    assert own["statistics"].keys() >= {"cnn.0.1.running_mean", "cnn.0.1.running_var", "average.0"}
    assert {tensor.device.type for group in own.values() for tensor in group.values()} == {"cpu"}
