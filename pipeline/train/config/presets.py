"""Presets: settings that belong together, by name, with a note of what is published and what is ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sciu.purification import Sciu

_OURS = "the paper does not give the learning rate, its schedule or the warm-up: those are ours"


@dataclass(frozen=True)
class Preset:
    """Some settings, and where they come from."""

    settings: dict[str, Any]
    source: str


def _published(name: str, title: str) -> Preset:
    """Return what the SCIU paper gives for a dataset, and what it leaves open."""
    policy = Sciu.for_dataset(name)
    thresholds = {each: getattr(policy, each) for each in ("prune_below", "correct_above", "window")}
    origin = policy.source or (
        f"lambda {policy.prune_below}, tau {policy.correct_above}, t {policy.window}, SGD and 200 epochs of 16 frames"
        " are the paper's"
    )
    return Preset({**thresholds, "warmup": 10, "epochs": 200, "lr": 0.01}, f"{title}: {origin}; {_OURS}")


PRESETS: dict[str, Preset] = {
    "ferv39k": _published("ferv39k", "FERV39k"),
    "dfew": _published("dfew", "DFEW"),
    "mafw": _published("mafw", "MAFW"),
    "demo": Preset(
        {
            "backbone": "tiny_lstm", "size": 64, "crop": "shifted", "epochs": 24, "optimiser": "adamw", "lr": 0.004,
            "weight_decay": 0.02, "lr_warmup": 2.0, "prune_below": 0.3, "correct_above": 0.4, "warmup": 14,
        },
        "demo: small and quick, for painted faces on a CPU; all of it is ours",
    ),
}  # fmt: skip
