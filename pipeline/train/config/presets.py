"""Settings that go together, by name. A preset says what of it is published and what is ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_OURS = "learning rate, its schedule and the warm-up are ours: the paper does not give them"


@dataclass(frozen=True)
class Preset:
    """Some settings, and where they come from."""

    settings: dict[str, Any]
    source: str


PRESETS: dict[str, Preset] = {
    "ferv39k": Preset(
        {"prune_below": 0.7, "correct_above": 0.2, "window": 3, "warmup": 10, "epochs": 200, "lr": 0.01},
        f"FERV39k: lambda .7, tau .2, t 3, SGD, 200 epochs of 16 frames as in the paper; {_OURS}",
    ),
    "dfew": Preset(
        {"prune_below": 0.6, "correct_above": 0.4, "window": 2, "warmup": 10, "epochs": 200, "lr": 0.01},
        f"DFEW: lambda .6, tau .4, t 2, SGD, 200 epochs of 16 frames as in the paper; {_OURS}",
    ),
    "mafw": Preset(
        {"prune_below": 0.6, "correct_above": 0.4, "window": 2, "warmup": 10, "epochs": 200, "lr": 0.01},
        f"MAFW: thresholds are not published, these are DFEW's; {_OURS}",
    ),
    "demo": Preset(
        {
            "backbone": "tiny_lstm", "size": 64, "crop": "shifted", "epochs": 24, "optimiser": "adamw", "lr": 0.004,
            "weight_decay": 0.02, "lr_warmup": 2.0, "prune_below": 0.3, "correct_above": 0.4, "warmup": 14,
        },
        "demo: small and quick, for painted faces on a CPU; all of it is ours",
    ),
}  # fmt: skip
