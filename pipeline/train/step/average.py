"""An exponential average of the weights, which often evaluates better than the last weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_YOUNG = 10.0  # after n steps the decay is at most (1 + n) / (10 + n): the first weights are soon forgotten


class Average:
    """Follows a network's weights and BatchNorm's statistics; with a decay of 0 it is the network itself and costs
    nothing.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        weights = list(network.parameters())
        floats = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
        self._values = [value.detach() for value in (*weights, *floats)] if decay else []
        self._weights = len(weights)
        self._averages = [value.clone() for value in self._values]
        device = self._values[0].device if self._values else None
        self._steps = torch.zeros((), device=device)
        self._decay = torch.tensor(decay, device=device)

    @torch.no_grad()
    def follow(self) -> None:
        """Move a little towards the weights."""
        if self._averages:
            self._steps += 1
            share = 1 - torch.minimum(self._decay, (1 + self._steps) / (_YOUNG + self._steps))
            moves = torch._foreach_sub(self._values, self._averages)  # noqa: SLF001 - as the optimisers of torch do
            torch._foreach_mul_(moves, share)  # a tensor: lerp would launch a kernel for each weight
            torch._foreach_add_(self._averages, moves)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the averages into the network for a while; copied, because a CUDA graph has the weights' addresses."""
        kept = [value.clone() for value in self._values]
        self._put(self._averages)
        try:
            yield
        finally:
            self._put(kept)

    def _put(self, values: list[Tensor]) -> None:
        if values:
            torch._foreach_copy_(self._values, values)

    @property
    def statistics(self) -> list[Tensor]:
        """Return the averages of BatchNorm's statistics, which differ between ranks until an epoch ends."""
        return self._averages[self._weights :]

    def tensors(self) -> dict[str, Tensor]:
        """Return the averages by the number of the weight."""
        averages = {str(k): average for k, average in enumerate(self._averages)}
        return {**averages, "steps": self._steps} if averages else {}
