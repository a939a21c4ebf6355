"""An exponential average of the weights, which often does better than the last of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Follows a network's weights; with a decay of 0 it is the network itself and costs nothing."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._weights = [weight.detach() for weight in network.parameters()] if decay else []
        self._averages = [weight.clone() for weight in self._weights]
        self._decay = decay

    def follow(self) -> None:
        """Move a little towards the weights."""
        if self._averages:
            torch._foreach_lerp_(self._averages, self._weights, 1 - self._decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the network have the averages for a while; copied, because a CUDA graph knows the weights by address."""
        kept = [weight.clone() for weight in self._weights]
        self._put(self._averages)
        try:
            yield
        finally:
            self._put(kept)

    def _put(self, values: list[Tensor]) -> None:
        if values:
            torch._foreach_copy_(self._weights, values)

    def tensors(self) -> dict[str, Tensor]:
        """Return the averages by the number of the weight."""
        return {str(k): average for k, average in enumerate(self._averages)}
