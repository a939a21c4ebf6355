"""The learning rate as a pure function of the position in the run: a resumed run needs no other state.

The position is in epochs and their fractions, so that pruned clips shorten an epoch and not the schedule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from sciu.pipeline.errors import require


def _cosine(progress: float, _decay: float, _every: float) -> float:
    return (1 + math.cos(math.pi * progress)) / 2


def _step(_progress: float, decay: float, drops: float) -> float:
    return decay ** math.floor(drops)


def _exponential(_progress: float, decay: float, drops: float) -> float:
    return decay**drops


def _constant(_progress: float, _decay: float, _drops: float) -> float:
    return 1.0


SHAPES: dict[str, Callable[[float, float, float], float]] = {
    "cosine": _cosine, "step": _step, "exponential": _exponential, "constant": _constant,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A schedule of the learning rate."""

    peak: float
    epochs: int
    shape: str = "cosine"
    warmup: float = 0.0  # epochs in which it rises from 0
    decay: float = 0.1  # of step and exponential: what remains after `every` epochs
    every: float = 40.0

    def __post_init__(self) -> None:
        require(self.peak > 0, "lr", "above 0", self.peak)
        require(self.epochs >= 1, "epochs", "at least 1", self.epochs)
        require(self.shape in SHAPES, "schedule", f"one of {list(SHAPES)}", repr(self.shape))
        value = f"{self.warmup}; --set lr_warmup=0 leaves it out"
        require(0 <= self.warmup < self.epochs, "lr_warmup", f"0 to below {self.epochs} epochs", value)
        require(0 < self.decay <= 1, "decay", "above 0 and at most 1", self.decay)
        require(self.every > 0, "decay_every", "above 0 epochs", self.every)

    def lr(self, position: float) -> float:
        """Return the learning rate at a position: epochs that have ended, and the share of the current one."""
        if position < self.warmup:
            return self.peak * position / self.warmup
        since = position - self.warmup
        progress = min(since / (self.epochs - self.warmup), 1.0)
        return self.peak * SHAPES[self.shape](progress, self.decay, since / self.every)
