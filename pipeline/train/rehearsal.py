"""A step tried out before the training: captured as a CUDA graph, compiled, timed; and everything put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

_WARM_UP = 3  # cuDNN chooses algorithms, the allocator and NCCL settle


class Changing(Protocol):
    """Whatever changes tensors in place."""

    scaler: Any
    device: torch.device

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Return them."""


@contextmanager
def undisturbed(step: Changing) -> Iterator[None]:
    """Put back weights, statistics, optimiser, scores and random numbers, in place, when the block ends."""
    before = {name: {key: t.clone() for key, t in group.items()} for name, group in step.tensors().items()}
    scaling = step.scaler.state_dict()
    devices = [step.device] if step.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        yield
    put_back(step.tensors(), before)
    step.scaler.load_state_dict(scaling)


@torch.no_grad()
def put_back(into: dict[str, dict[str, Tensor]], values: dict[str, dict[str, Tensor]]) -> None:
    """Copy tensors over those of the same names: where they are in memory does not change."""
    for name, group in into.items():
        for key, tensor in group.items():
            tensor.copy_(values[name][key])


class Replay:
    """A function of a batch as one CUDA graph; for batches of the shape that it was captured with."""

    def __init__(self, learn: Callable[[Tensor, Tensor], None], ids_B: Tensor, frames_BTHWC: Tensor) -> None:
        self._inputs = ids_B.clone(), frames_BTHWC.clone()
        side = torch.cuda.Stream(ids_B.device)
        side.wait_stream(torch.cuda.current_stream(ids_B.device))
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                learn(*self._inputs)
        torch.cuda.current_stream(ids_B.device).wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        # thread_local: other threads may allocate meanwhile
        with torch.cuda.graph(self._graph, stream=side, capture_error_mode="thread_local"):
            learn(*self._inputs)

    def __call__(self, ids_B: Tensor, frames_BTHWC: Tensor) -> None:
        """Copy the batch in, and launch everything at once."""
        for static, given in zip(self._inputs, (ids_B, frames_BTHWC), strict=True):
            static.copy_(given, non_blocking=True)
        self._graph.replay()
