"""What a method is: a weight head, a loss, and a policy of the purifier."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from sciu.models.losses.cross_entropy import cross_entropy, weighted_cross_entropy
from sciu.models.losses.early_learning import early_learning
from sciu.models.losses.mean_absolute_error import mean_absolute_error
from sciu.models.losses.rank_regularisation import rank_regularisation
from sciu.models.losses.symmetric_cross_entropy import symmetric_cross_entropy
from sciu.models.sciu_model import Output, WeightHead
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.step.board import Lesson
from sciu.purification import Auto, Elr, Keep, Sciu, Scn
from sciu.purification.rules.policy import Policy
from sciu.purification.store.running import KEPT

Objective = Callable[[Output, Lesson], Tensor]
"""(output, what the batch is to be taken for) -> a loss for every clip, [B]; 0 where the label is negative."""

WEIGHT_HEADS: dict[str, WeightHead] = {
    "auto": "none", "sciu": "mlp", "scn": "linear", "elr": "none", "plain": "none", "sce": "none", "mae": "none",
}  # fmt: skip


def objective(settings: Settings) -> Objective:
    """Return the method's loss."""
    smoothing = settings.label_smoothing
    made: dict[str, Objective] = {
        "auto": partial(_pulled, smoothing=smoothing),
        "sciu": partial(_weighted, smoothing=smoothing),
        "scn": partial(_ranked, smoothing=smoothing, beta=settings.rank_beta, margin=settings.rank_margin),
        "elr": partial(_pulled, smoothing=smoothing),
        "plain": lambda out, lesson: cross_entropy(out.logits_BK, lesson.labels_B, label_smoothing=smoothing),
        "sce": lambda out, lesson: symmetric_cross_entropy(out.logits_BK, lesson.labels_B),
        "mae": lambda out, lesson: mean_absolute_error(out.logits_BK, lesson.labels_B),
    }
    return made[settings.method]


def _weighted(out: Output, lesson: Lesson, *, smoothing: float) -> Tensor:
    return weighted_cross_entropy(out.logits_BK, out.weight_B, lesson.labels_B, label_smoothing=smoothing)


def _ranked(out: Output, lesson: Lesson, *, smoothing: float, beta: float, margin: float) -> Tensor:
    rank = rank_regularisation(out.weight_B, beta=beta, margin=margin)
    return _weighted(out, lesson, smoothing=smoothing) + rank * (lesson.labels_B >= 0)


def _pulled(out: Output, lesson: Lesson, *, smoothing: float) -> Tensor:
    assert lesson.average_BK is not None and lesson.pull_B is not None  # noqa: PT018 - the policy keeps averages
    pull = lesson.pull_B * early_learning(out.logits_BK, lesson.average_BK, kept=KEPT)
    return cross_entropy(out.logits_BK, lesson.labels_B, label_smoothing=smoothing) + pull


def policy(settings: Settings) -> Policy:
    """Return what the purifier is to do; plain, sce and mae only record."""
    if settings.method == "sciu":
        return Sciu(
            prune_below=settings.prune_below if settings.cgp else None,  # type: ignore[arg-type] # checked: auto or a number
            correct_above=settings.correct_above if settings.fgc else None,  # type: ignore[arg-type]
            window=settings.window, warmup=settings.warmup, confidence=settings.confidence,  # type: ignore[arg-type]
            revive_every=settings.revive_every, keep_per_class=settings.keep_per_class, max_pruned=settings.max_pruned,
        )  # fmt: skip
    if settings.method == "scn":
        return Scn(
            relabel_above=settings.relabel_above, warmup=settings.warmup, low_share=settings.low_share,
            keep_per_class=settings.keep_per_class,
        )  # fmt: skip
    if settings.method == "auto":
        return Auto.for_epochs(
            settings.epochs, window=settings.window, pull=settings.pull, sure=settings.sure,
            revive_every=settings.revive_every, keep_per_class=settings.keep_per_class, max_pruned=settings.max_pruned,
        )  # fmt: skip
    if settings.method == "elr":
        return Elr(window=settings.window, pull=settings.pull)
    return Keep(window=settings.window)
