"""SGD or AdamW, fused, with the learning rate in a tensor, which a captured step reads each time."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from sciu.pipeline.train.config.settings import Settings


def make_optimiser(
    parameters: Iterable[nn.Parameter], settings: Settings, device: torch.device
) -> torch.optim.Optimizer:
    """Build the optimiser with all of its state allocated, as before the first step."""
    weights = list(parameters)
    lr = torch.zeros((), device=device)
    optimiser: torch.optim.Optimizer
    if settings.optimiser == "sgd":
        optimiser = torch.optim.SGD(
            weights, lr, momentum=settings.momentum, weight_decay=settings.weight_decay, fused=True
        )
    else:
        optimiser = torch.optim.AdamW(
            weights, lr, weight_decay=settings.weight_decay, fused=True, capturable=device.type == "cuda"
        )
    _make_state(optimiser, weights)
    return optimiser


def lr_of(optimiser: torch.optim.Optimizer) -> Tensor:
    """Return the learning rate's tensor."""
    lr: Tensor = optimiser.param_groups[0]["lr"]
    return lr


def state_of(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state's tensors by the number of the weight and their name."""
    weights = optimiser.param_groups[0]["params"]
    return {f"{k}.{name}": value for k, weight in enumerate(weights) for name, value in optimiser.state[weight].items()}


def _make_state(optimiser: torch.optim.Optimizer, weights: list[nn.Parameter]) -> None:
    """Take a step of length 0, then zero the state: torch creates it no earlier."""
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    for value in state_of(optimiser).values():
        value.zero_()
