"""The record of an epoch, in `log.jsonl` and in checkpoints."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from sciu.pipeline.train.record.reading import read_fields

Detection = dict[str, Any]
"""How well purification found what is known to be wrong: figures by name, some of them by kind or class."""


@dataclass(frozen=True, kw_only=True)
class SplitResult:
    """The evaluation of a split: recall, weighted and unweighted."""

    clips: int
    unreadable: int  # clips that could not be decoded
    war: float  # weighted average recall, which is the accuracy
    uar: float  # unweighted average recall
    recalls: dict[str, float | None]  # None: a class without clips
    confusion: list[list[int]]  # true class, predicted class

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class PurifyResult:
    """What the scores of an epoch led to."""

    counts: dict[str, int]
    thresholds: dict[str, float]
    spared: dict[str, int]
    classes: dict[str, dict[str, int]]
    detection: Detection | None = None  # if the dataset has a truth

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes: the counts beside the rest."""
        rest: dict[str, Any] = {"thresholds": self.thresholds, "spared": self.spared, "classes": self.classes}
        return {**self.counts, **rest, **({} if self.detection is None else {"detection": self.detection})}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> PurifyResult:
        """Read what `to_json` returns."""
        own = {each.name for each in fields(cls)}
        counts = {name: value for name, value in content.items() if name not in own and type(value) is int}
        return cls(**read_fields(cls, {**content, "counts": counts}))


@dataclass(frozen=True, kw_only=True)
class Spent:
    """The time and counts of an epoch so far, also from before an interruption."""

    seconds: float = 0.0
    waiting: float = 0.0  # seconds in which the device waited for data
    reading: float = 0.0  # seconds in which the feed waited for files; a GPU may have trained meanwhile
    decoding: float = 0.0  # for decoders
    rendering: float = 0.0  # for pixels, or for their copy to the GPU
    evaluating: float = 0.0  # seconds after the training of the epoch
    saving: float = 0.0
    purifying: float = 0.0
    reporting: float = 0.0  # of the epoch before: an epoch's record is part of its own report
    clips: int = 0
    decoded: int = 0
    cached: int = 0
    frames: int = 0
    files: int = 0
    on_host: int = 0
    faults: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)})


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """The results of an epoch."""

    epoch: int
    loss: float
    accuracy: float  # on the training clips, while training
    lr: float  # at its start
    spent: Spent
    validation: SplitResult | None = None  # None: not evaluated in this epoch, or no such clips
    test: SplitResult | None = None
    purify: PurifyResult | None = None  # None: not decided yet

    @property
    def evaluated(self) -> dict[str, SplitResult]:
        """The splits that were evaluated, by name; the one that chooses the best epoch comes first."""
        results = {"validation": self.validation, "test": self.test}
        return {split: result for split, result in results.items() if result is not None}

    @property
    def clips_per_second(self) -> float:
        """Clips trained on per second."""
        return self.spent.clips / self.spent.seconds if self.spent.seconds else 0.0

    @property
    def waiting(self) -> float:
        """Share of the time in which the device waited for data."""
        return self.spent.waiting / self.spent.seconds if self.spent.seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes, and what a line of `log.jsonl` is."""
        return {
            "epoch": self.epoch, "loss": self.loss, "accuracy": self.accuracy, "rate": self.lr,
            **asdict(self.spent), "clips_per_second": self.clips_per_second,
            **{split: result.to_json() for split, result in self.evaluated.items()},
            **({} if self.purify is None else {"purify": self.purify.to_json()}),
        }  # fmt: skip

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> EpochRecord:
        """Read what `to_json` returns."""
        named = {"lr": content["rate"]} if "rate" in content else {}
        return cls(**read_fields(cls, {**content, **named, "spent": content}))
