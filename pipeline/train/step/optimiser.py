"""SGD or AdamW, fused, its learning rate a tensor: a captured step reads it anew each time."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from sciu.pipeline.train.config.settings import Settings


def make_optimiser(
    parameters: Iterable[nn.Parameter], settings: Settings, device: torch.device
) -> torch.optim.Optimizer:
    """Build it with all of its state in place, as after no step at all."""
    weights = list(parameters)
    rate = torch.zeros((), device=device)
    optimiser: torch.optim.Optimizer
    if settings.optimiser == "sgd":
        optimiser = torch.optim.SGD(
            weights, rate, momentum=settings.momentum, weight_decay=settings.weight_decay, fused=True
        )
    else:
        optimiser = torch.optim.AdamW(
            weights, rate, weight_decay=settings.weight_decay, fused=True, capturable=device.type == "cuda"
        )
    _make_state(optimiser, weights)
    return optimiser


def lr_of(optimiser: torch.optim.Optimizer) -> Tensor:
    """Return the learning rate's tensor."""
    rate: Tensor = optimiser.param_groups[0]["lr"]
    return rate


def state_of(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state's tensors by the number of the weight and their name."""
    weights = optimiser.param_groups[0]["params"]
    return {f"{k}.{name}": value for k, weight in enumerate(weights) for name, value in optimiser.state[weight].items()}


def _make_state(optimiser: torch.optim.Optimizer, weights: list[nn.Parameter]) -> None:
    """Take a step of length 0, then zero what it left: torch makes its state no earlier."""
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    for value in state_of(optimiser).values():
        value.zero_()
