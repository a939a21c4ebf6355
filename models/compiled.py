"""A network compiled by torch, with the one switch that LSTMs need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo
from torch import nn


def compiled(network: nn.Module, **options: Any) -> Callable[..., Any]:
    """Compile a network into one graph.

    Dynamo traces LSTMs only if allowed. On a CPU this avoids a graph break. On a GPU it would unroll cuDNN's LSTM into
    single steps (1,350 nodes for 16 frames), so there the LSTM runs between two graphs.
    """
    on_cpu = all(parameter.device.type == "cpu" for parameter in network.parameters())
    torch._dynamo.config.allow_rnn = on_cpu  # noqa: SLF001 - torch documents it by this name
    return torch.compile(network, **options)
