"""Where a run stands: what a checkpoint holds beside the tensors."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(kw_only=True)
class RunState:
    """An epoch, how far it has come, and what was best."""

    epoch: int = 1
    step: int = 0  # of the epoch's plan that have been taken
    world: int = 1  # ranks that the plan is for
    quarantine: str = ""  # of the dataset, for which the plan was made; empty in checkpoints of earlier versions
    done: list[int] = field(default_factory=list)  # clips of this epoch that another number of ranks has had
    faults: dict[int, str] = field(default_factory=dict)  # clips of this epoch that cannot be decoded
    spent: dict[str, float] = field(default_factory=dict)  # on this epoch before it was interrupted
    measured: dict[str, Any] | None = None  # of the epoch, once it is trained and evaluated
    best: dict[str, Any] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)  # a record of every epoch that has ended

    def content(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    def remaining(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the clips that the epoch's plan is made of."""
        return np.setdiff1d(ids, np.array(self.done, np.int64)) if self.done else ids

    def share(self, clips: int, steps: int) -> float:
        """Return how much of the epoch is behind."""
        before = len(self.done) / clips
        return before + (1 - before) * self.step / max(steps, 1)

    @property
    def under_way(self) -> bool:
        """Whether some of the epoch was trained on before."""
        return bool(self.step or self.done)

    def note_best(self, record: dict[str, Any]) -> None:
        """Remember an epoch that is better than all before, on the validation clips where there are any."""
        split = "validation" if record.get("validation") else "test"
        if self.best is None or record[split]["war"] > self.best["score"]:
            tested = {name: record["test"][name] for name in ("war", "uar")}
            self.best = {"epoch": record["epoch"], "chosen_on": split, "score": record[split]["war"], **tested}

    def begin_next(self) -> None:
        """Begin the next epoch."""
        self.epoch, self.step, self.done, self.faults, self.spent, self.measured = self.epoch + 1, 0, [], {}, {}, None
