"""The losses to train with, by the names that methods know them by."""

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
"""(output, what the batch is to be taken for) -> a loss for every clip, [B]; 0 where the label is negative."""


def objective_of(settings: Settings) -> Objective:
    """Return the loss of the chosen method."""
    return _OBJECTIVES[METHODS[settings.method].objective](settings)


def _plain(settings: Settings) -> Objective:
    smoothing = settings.label_smoothing
    return lambda out, lesson: cross_entropy(out.logits_BK, lesson.labels_B, label_smoothing=smoothing)


def _weighted(settings: Settings) -> Objective:
    """Return cross entropy of w * z, by the weight head's w."""
    smoothing = settings.label_smoothing

    def loss(out: Output, lesson: BatchTargets) -> Tensor:
        return weighted_cross_entropy(out.logits_BK, out.weight_B, lesson.labels_B, label_smoothing=smoothing)

    return loss


def _ranked(settings: Settings) -> Objective:
    """Add SCN's rank regularisation of the batch's weights."""
    weighted, beta, margin = _weighted(settings), settings.rank_beta, settings.rank_margin

    def loss(out: Output, lesson: BatchTargets) -> Tensor:
        rank = rank_regularisation(out.weight_B, beta=beta, margin=margin)
        return weighted(out, lesson) + rank * (lesson.labels_B >= 0)

    return loss


def _pulled(settings: Settings) -> Objective:
    """Add the pull to what the network has said of each clip before."""
    plain = _plain(settings)

    def loss(out: Output, lesson: BatchTargets) -> Tensor:
        assert lesson.average_BK is not None and lesson.pull_B is not None  # noqa: PT018 - the policy keeps averages
        pull = lesson.pull_B * early_learning(out.logits_BK, lesson.average_BK, kept=KEPT)
        return plain(out, lesson) + pull

    return loss


def _symmetric(_settings: Settings) -> Objective:
    return lambda out, lesson: symmetric_cross_entropy(out.logits_BK, lesson.labels_B)


def _absolute(_settings: Settings) -> Objective:
    return lambda out, lesson: mean_absolute_error(out.logits_BK, lesson.labels_B)


_OBJECTIVES: dict[str, Callable[[Settings], Objective]] = {
    "plain": _plain, "weighted": _weighted, "ranked": _ranked, "pulled": _pulled, "symmetric": _symmetric,
    "absolute": _absolute,
}  # fmt: skip
