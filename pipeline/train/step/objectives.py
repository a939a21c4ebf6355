"""The losses to train with, by the names that methods use."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from sciu.models.losses.cross_entropy import cross_entropy, weighted_cross_entropy
from sciu.models.losses.early_learning import early_learning
from sciu.models.losses.mean_absolute_error import mean_absolute_error
from sciu.models.losses.rank_regularisation import rank_regularisation
from sciu.models.losses.symmetric_cross_entropy import symmetric_cross_entropy
from sciu.models.sciu_model import Output
from sciu.pipeline.train.config.methods import METHODS
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.step.clip_tensors import BatchTargets
from sciu.purification.store.running_average import KEPT

Objective = Callable[[Output, BatchTargets], Tensor]
"""(output, targets of the batch) -> a loss for every clip, [B]; 0 where the label is negative."""


def objective_of(settings: Settings) -> Objective:
    """Return the loss of the chosen method."""
    return _OBJECTIVES[METHODS[settings.method].objective](settings)


def _plain(settings: Settings) -> Objective:
    smoothing = settings.label_smoothing
    return lambda out, targets: cross_entropy(out.logits_BK, targets.labels_B, label_smoothing=smoothing)


def _weighted(settings: Settings) -> Objective:
    """Return cross entropy of w * z, by the weight head's w."""
    smoothing = settings.label_smoothing

    def loss(out: Output, targets: BatchTargets) -> Tensor:
        return weighted_cross_entropy(out.logits_BK, out.weight_B, targets.labels_B, label_smoothing=smoothing)

    return loss


def _ranked(settings: Settings) -> Objective:
    """Add SCN's rank regularisation of the batch's clip weights."""
    weighted, beta, margin = _weighted(settings), settings.rank_beta, settings.rank_margin

    def loss(out: Output, targets: BatchTargets) -> Tensor:
        rank = rank_regularisation(out.weight_B, beta=beta, margin=margin)
        return weighted(out, targets) + rank * (targets.labels_B >= 0)

    return loss


def _pulled(settings: Settings) -> Objective:
    """Add the pull towards the network's earlier predictions of each clip."""
    plain = _plain(settings)

    def loss(out: Output, targets: BatchTargets) -> Tensor:
        assert targets.average_BK is not None and targets.pull_B is not None  # noqa: PT018 - the policy keeps averages
        pull = targets.pull_B * early_learning(out.logits_BK, targets.average_BK, kept=KEPT)
        return plain(out, targets) + pull

    return loss


def _symmetric(_settings: Settings) -> Objective:
    return lambda out, targets: symmetric_cross_entropy(out.logits_BK, targets.labels_B)


def _absolute(_settings: Settings) -> Objective:
    return lambda out, targets: mean_absolute_error(out.logits_BK, targets.labels_B)


_OBJECTIVES: dict[str, Callable[[Settings], Objective]] = {
    "plain": _plain, "weighted": _weighted, "ranked": _ranked, "pulled": _pulled, "symmetric": _symmetric,
    "absolute": _absolute,
}  # fmt: skip
