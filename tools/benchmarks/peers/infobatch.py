"""InfoBatch (Qin et al., ICLR 2024): an epoch leaves out half of the clips with a low loss, by chance."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_UNKNOWN = 3.0  # the loss of a clip that no epoch has seen, as in the authors' code


class InfoBatch:
    """The last loss of each clip; which clips the next epoch trains on; how their losses are weighed."""

    def __init__(self, ids: NDArray[np.int64], *, left_out: float = 0.5, seed: int = 0) -> None:
        self._ids, self._keep = ids, 1 - left_out
        self._random = np.random.default_rng(seed)
        self._losses = torch.full((int(ids.max()) + 1,), _UNKNOWN)
        self._weights = torch.ones(len(self._losses))

    def draw(self) -> NDArray[np.int64]:
        """Return the clips of the next epoch: all with a loss of the mean or more, and a share of the others."""
        losses = self._losses[torch.from_numpy(self._ids)].numpy()
        low = losses < losses.mean()
        chosen = self._random.permutation(self._ids[low])[: int(self._keep * low.sum())]
        self._weights.fill_(1)
        self._weights[torch.from_numpy(chosen)] = 1 / self._keep  # they stand for those that are left out
        kept: NDArray[np.int64] = np.sort(np.concatenate([self._ids[~low], chosen]))
        return kept

    def weigh(self, ids: Tensor, losses: Tensor) -> Tensor:
        """Note the losses of a batch, and return what to minimise."""
        self._losses[ids] = losses.detach().float().cpu()
        return (losses * self._weights[ids].to(losses.device)).mean()
