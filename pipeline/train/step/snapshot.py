"""Copy tensors, and restore them in place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

TensorGroups = dict[str, dict[str, Tensor]]


class Changing(Protocol):
    """An object that changes tensors in place."""

    scaler: Any
    device: torch.device

    def tensors(self) -> TensorGroups:
        """Return the tensors that it changes."""


@contextmanager
def unchanged_after(step: Changing) -> Iterator[None]:
    """Restore weights, statistics, optimiser state, scores and random numbers, in place, when the block ends."""
    before = {name: {key: t.clone() for key, t in group.items()} for name, group in step.tensors().items()}
    scaling = step.scaler.state_dict()
    devices = [step.device] if step.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        yield
    copy_into(step.tensors(), before)
    step.scaler.load_state_dict(scaling)


@torch.no_grad()
def copy_into(tensors: TensorGroups, values: TensorGroups) -> None:
    """Copy values over the tensors of the same names, whose addresses do not change."""
    for name, group in tensors.items():
        for key, tensor in group.items():
            tensor.copy_(values[name][key])
