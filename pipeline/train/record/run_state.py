"""The state of a run: what a checkpoint holds besides the tensors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.train.record.epoch_record import EpochRecord, PurifyResult, Spent
from sciu.pipeline.train.record.reading import read_fields

_ALWAYS = {
    "epoch",
    "step",
    "world",
    "done",
    "faults",
    "spent",
    "measured",
    "best",
    "history",
}  # also in the first format

_MOST = (1 << 63) - 1  # of a number in a tensor


@dataclass(frozen=True, kw_only=True)
class BestEpoch:
    """The best epoch so far, on the validation clips if there are any."""

    epoch: int
    chosen_on: str  # validation or test
    score: float  # WAR on those clips
    war: float  # on the test clips
    uar: float


@dataclass(kw_only=True)
class RunState:
    """The current epoch, its progress, and the best epoch so far."""

    epoch: int = 1
    step: int = 0  # steps of the epoch's plan that were taken
    world: int = 1  # ranks that the plan is for
    left_out: list[int] = field(default_factory=list)  # clips of the index that the dataset has in quarantine
    done: list[int] = field(default_factory=list)  # clips that an earlier plan of this epoch trained on
    faults: dict[int, str] = field(default_factory=dict)  # clips of this epoch that cannot be decoded
    spent: Spent = field(default_factory=Spent)  # on this epoch before it was interrupted
    measured: EpochRecord | None = None  # the epoch's record, once it is trained and evaluated
    best: BestEpoch | None = None
    history: list[EpochRecord] = field(default_factory=list)  # of every epoch that has ended

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes, as plain values."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            **own, "spent": asdict(self.spent), "measured": self.measured and self.measured.to_json(),
            "best": self.best and asdict(self.best), "history": [record.to_json() for record in self.history],
        }  # fmt: skip

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> RunState:
        """Read what `to_json` returns; what a later version adds is ignored, what an earlier one lacks is empty."""
        if missing := sorted(_ALWAYS - content.keys()):
            raise TypeError(f"{missing[0]} is missing")
        state = cls(**read_fields(cls, content))
        for name, least in (("epoch", 1), ("step", 0), ("world", 1)):
            if getattr(state, name) < least:
                raise TypeError(f"{name} must be at least {least}, but is {getattr(state, name)}")
            if getattr(state, name) > _MOST:
                raise TypeError(f"{name} must be at most {_MOST}, but is {getattr(state, name)}")
        return state

    def remaining(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the clips that the epoch's plan consists of."""
        return np.setdiff1d(ids, np.array(self.done, np.int64)) if self.done else ids

    def share(self, clips: int, steps: int) -> float:
        """Return the share of the epoch that is done."""
        before = len(self.done) / clips
        return before + (1 - before) * self.step / max(steps, 1)

    @property
    def under_way(self) -> bool:
        """Whether the epoch was trained in part before."""
        return bool(self.step or self.done)

    def note_best(self, record: EpochRecord) -> None:
        """Keep the epoch as the best if it is better than all before."""
        split, chosen = next(iter(record.evaluated.items()))
        if record.test is not None and (self.best is None or chosen.war > self.best.score):
            self.best = BestEpoch(
                epoch=record.epoch, chosen_on=split, score=chosen.war, war=record.test.war, uar=record.test.uar
            )

    def end_epoch(self, purify: PurifyResult) -> EpochRecord:
        """Add the epoch's record, with what it led to, to the history; doing so again changes nothing."""
        assert self.measured is not None
        record = replace(self.measured, purify=purify, spent=self.spent)
        self.history = [*self.history[: self.epoch - 1], record]
        return record

    def begin_next(self) -> None:
        """Begin the next epoch."""
        self.epoch, self.step, self.done, self.left_out, self.faults = self.epoch + 1, 0, [], [], {}
        self.spent, self.measured = Spent(reporting=self.spent.reporting - self._reported()), None

    def _reported(self) -> float:
        """Return what an epoch's record says of the report before it."""
        return self.history[-1].spent.reporting if self.history else 0.0

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Count the seconds of a stage of the epoch."""
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = getattr(self.spent, what) + time.perf_counter() - began
            self.spent = replace(self.spent, **{what: seconds})
