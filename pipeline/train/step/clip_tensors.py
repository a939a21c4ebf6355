"""An epoch's tensors on the device, by clip id: the labels that the step reads, and the scores that it writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciu.pipeline.train.job.ranks import Ranks
from sciu.purification.index import Targets

_BALANCES = {"none": 0.0, "sqrt": 0.5, "inverse": 1.0}


class BatchTargets(NamedTuple):
    """The labels and targets of a batch."""

    labels_B: Tensor  # -1: scored only
    pull_B: Tensor | None  # how strongly the loss pulls to the averages, for methods that keep them
    average_BK: Tensor | None


@dataclass(frozen=True, eq=False)
class Scores:
    """An epoch's scores on the host, of the clips that have any."""

    ids: NDArray[np.int64]
    weights: NDArray[np.float32]
    probs: NDArray[np.float32]


class ClipTensors:
    """One row per clip, and one more, at `nobody`, for a batch without clips."""

    def __init__(
        self, clips: int, classes: int, device: torch.device, *, balance: str = "none", averages: bool = False
    ) -> None:
        self.nobody = clips
        self._balance = _BALANCES[balance]
        self.labels_N = torch.full((clips + 1,), -1, dtype=torch.int64, device=device)
        self.pull_N = torch.zeros(clips + 1, device=device) if averages else None
        self.average_NK = torch.zeros((clips + 1, classes), device=device) if averages else None
        self.class_weight_K = torch.ones(classes, device=device)
        self.weight_N = torch.zeros(clips + 1, device=device)
        self.probs_NK = torch.zeros((clips + 1, classes), device=device)
        self.seen_N = torch.zeros(clips + 1, device=device)
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)  # of losses, training clips, right predictions
        self.step = torch.zeros((), dtype=torch.int64, device=device)
        self.bad_step = torch.full((), -1, dtype=torch.int64, device=device)  # the first whose loss is not finite

    def take(self, labels: NDArray[np.int16], targets: Targets | None = None) -> None:
        """Load an epoch's labels and targets."""
        self.labels_N[:-1].copy_(torch.from_numpy(labels.astype(np.int64)))
        counts = torch.from_numpy(np.bincount(labels[labels >= 0], minlength=len(self.class_weight_K)))
        rarity_K = (counts.clamp_min(1) / counts.sum()).float() ** -self._balance
        self.class_weight_K.copy_(rarity_K / (rarity_K * counts).sum() * counts.sum())
        if self.pull_N is not None and self.average_NK is not None:
            assert targets is not None  # the policy keeps averages
            self.pull_N[:-1].copy_(torch.from_numpy(targets["pull"].astype(np.float32)))
            self.average_NK[:-1].copy_(torch.from_numpy(targets["average"].astype(np.float32)))

    def batch_targets(self, ids_B: Tensor) -> BatchTargets:
        """Return a batch's labels and targets."""
        if self.pull_N is None or self.average_NK is None:
            return BatchTargets(self.labels_N[ids_B], None, None)
        return BatchTargets(self.labels_N[ids_B], self.pull_N[ids_B], self.average_NK[ids_B])

    def clear(self) -> None:
        """Clear the scores and sums of the epoch before."""
        for values in self.tensors().values():
            values.zero_()
        self.bad_step.fill_(-1)

    def write(self, ids_B: Tensor, weight_B: Tensor, probs_BK: Tensor) -> None:
        """Store some clips' scores."""
        self.weight_N[ids_B] = weight_B
        self.probs_NK[ids_B] = probs_BK
        self.seen_N.index_fill_(0, ids_B, 1.0)  # `[ids_B] = 1.0` waits for a copy in older torch

    def count(self, losses_B: Tensor, right_B: Tensor, labels_B: Tensor) -> None:
        """Add up losses and right predictions, and note the first step whose loss is not finite."""
        learnt_B = labels_B >= 0
        total = losses_B.sum()
        self.sums += torch.stack([total.double(), learnt_B.sum().double(), (right_B & learnt_B).sum().double()])
        bad = ~torch.isfinite(total) & (self.bad_step < 0)
        self.bad_step.copy_(torch.where(bad, self.step, self.bad_step))
        self.step += 1

    def tensors(self) -> dict[str, Tensor]:
        """Return what an epoch writes; a checkpoint within an epoch stores it."""
        return {
            "weight": self.weight_N, "probs": self.probs_NK, "seen": self.seen_N, "sums": self.sums,
            "step": self.step, "bad_step": self.bad_step,
        }  # fmt: skip

    def of_all(self, ranks: Ranks) -> dict[str, Tensor]:
        """Return the same for all ranks together: each clip belongs to one of them. Collective."""
        own = {name: value.clone() for name, value in self.tensors().items()}
        ranks.sum_all([own[name] for name in ("weight", "probs", "seen")])
        ranks.sum(own["sums"])
        return own


def scores_of(tensors: ClipTensors) -> Scores:
    """Copy this rank's scores to the host."""
    ids = tensors.seen_N[:-1].nonzero().squeeze(1)
    return Scores(ids.cpu().numpy(), tensors.weight_N[ids].cpu().numpy(), tensors.probs_NK[ids].cpu().numpy())
