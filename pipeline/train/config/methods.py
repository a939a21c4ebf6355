"""The methods against noisy labels: each is one entry of `METHODS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sciu.purification import Auto, Elr, Keep, Sciu, Scn
from sciu.purification.rules.policy import Policy

if TYPE_CHECKING:
    from sciu.pipeline.train.config.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Method:
    """The loss, by its name in `pipeline/train/step/objectives.py`, and what the purifier does after each epoch."""

    objective: Literal["plain", "weighted", "ranked", "pulled", "symmetric", "absolute"]
    policy: Callable[[Settings], Policy]
    uses: tuple[str, ...]  # the settings that only some methods use, and this one does
    weight_head: Literal["none", "linear", "mlp"] = "none"


def _auto(settings: Settings) -> Policy:
    return Auto.for_epochs(
        settings.epochs, window=settings.window, pull=settings.pull, sure=settings.sure,
        revive_every=settings.revive_every, keep_per_class=settings.keep_per_class, max_pruned=settings.max_pruned,
    )  # fmt: skip


def _sciu(settings: Settings) -> Policy:
    return Sciu(
        prune_below=settings.prune_below if settings.cgp else None,  # type: ignore[arg-type] # checked: auto or a number
        correct_above=settings.correct_above if settings.fgc else None,  # type: ignore[arg-type]
        window=settings.window, warmup=settings.warmup, confidence=settings.confidence,  # type: ignore[arg-type]
        revive_every=settings.revive_every, keep_per_class=settings.keep_per_class, max_pruned=settings.max_pruned,
    )  # fmt: skip


def _scn(settings: Settings) -> Policy:
    return Scn(
        relabel_above=settings.relabel_above, warmup=settings.warmup, low_share=settings.low_share,
        keep_per_class=settings.keep_per_class,
    )  # fmt: skip


def _elr(settings: Settings) -> Policy:
    return Elr(window=settings.window, pull=settings.pull)


def _keep(settings: Settings) -> Policy:
    return Keep(window=settings.window)


METHODS: dict[str, Method] = {
    "auto": Method(
        objective="pulled", policy=_auto,
        uses=("label_smoothing", "window", "pull", "sure", "revive_every", "max_pruned", "keep_per_class"),
    ),
    "sciu": Method(
        objective="weighted", policy=_sciu, weight_head="mlp",
        uses=(
            "label_smoothing", "window", "cgp", "fgc", "prune_below", "correct_above", "confidence", "warmup",
            "revive_every", "max_pruned", "keep_per_class",
        ),
    ),
    "scn": Method(
        objective="ranked", policy=_scn, weight_head="linear",
        uses=(
            "label_smoothing", "relabel_above", "low_share", "rank_margin", "rank_beta", "warmup", "keep_per_class",
        ),
    ),
    "elr": Method(objective="pulled", policy=_elr, uses=("label_smoothing", "window", "pull")),
    "plain": Method(objective="plain", policy=_keep, uses=("label_smoothing", "window")),
    "sce": Method(objective="symmetric", policy=_keep, uses=("window",)),
    "mae": Method(objective="absolute", policy=_keep, uses=("window",)),
}  # fmt: skip


def users_of(setting: str) -> tuple[str, ...]:
    """Return the methods that use a setting: those that list it, or all if none does."""
    return tuple(name for name, method in METHODS.items() if setting in method.uses) or tuple(METHODS)


def policy_of(settings: Settings) -> Policy:
    """Return the policy of the purifier."""
    return METHODS[settings.method].policy(settings)
