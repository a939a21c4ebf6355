"""What a method is: a weight head, a loss, and a policy of the purifier."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from sciu.models.losses.cross_entropy import cross_entropy, weighted_cross_entropy
from sciu.models.losses.mean_absolute_error import mean_absolute_error
from sciu.models.losses.rank_regularisation import rank_regularisation
from sciu.models.losses.symmetric_cross_entropy import symmetric_cross_entropy
from sciu.models.sciu_model import Output, WeightHead
from sciu.pipeline.train.settings import Settings
from sciu.purification import Keep, Sciu, Scn
from sciu.purification.policy import Policy

Objective = Callable[[Output, Tensor], Tensor]
"""(output, labels [B]) -> a loss for every clip, [B]; 0 where the label is negative."""

WEIGHT_HEADS: dict[str, WeightHead] = {"sciu": "mlp", "scn": "linear", "plain": "none", "sce": "none", "mae": "none"}


def objective(settings: Settings) -> Objective:
    """Return the method's loss."""
    made: dict[str, Objective] = {
        "sciu": partial(_weighted, smoothing=settings.label_smoothing),
        "scn": partial(
            _ranked, smoothing=settings.label_smoothing, beta=settings.rank_beta, margin=settings.rank_margin
        ),
        "plain": lambda out, labels_B: cross_entropy(out.logits_BK, labels_B, label_smoothing=settings.label_smoothing),
        "sce": lambda out, labels_B: symmetric_cross_entropy(out.logits_BK, labels_B),
        "mae": lambda out, labels_B: mean_absolute_error(out.logits_BK, labels_B),
    }
    return made[settings.method]


def _weighted(out: Output, labels_B: Tensor, *, smoothing: float) -> Tensor:
    return weighted_cross_entropy(out.logits_BK, out.weight_B, labels_B, label_smoothing=smoothing)


def _ranked(out: Output, labels_B: Tensor, *, smoothing: float, beta: float, margin: float) -> Tensor:
    rank = rank_regularisation(out.weight_B, beta=beta, margin=margin)
    return _weighted(out, labels_B, smoothing=smoothing) + rank * (labels_B >= 0)


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
        return Scn(relabel_above=settings.relabel_above, warmup=settings.warmup, low_share=settings.low_share)
    return Keep(window=settings.window)
