"""What tables and figures read of a result, by name and type; a result has more, which nobody reads again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sciu.pipeline.train.record.reading import read, read_fields

Figure = float | None
_LARGEST = 1e15  # what is counted or measured stays far below; sums of squares stay finite


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Of a detector."""

    precision: Figure
    recall: Figure
    f1: Figure


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What purification found of the known faults."""

    low_quality: Scores | None = None
    wrong_label: Scores | None = None
    wrong_label_touched: Scores | None = None
    correction_accuracy: Figure = None
    right_labels_touched: Figure = None
    label_accuracy_before: Figure = None
    label_accuracy_after: Figure = None
    class_members_kept: dict[str, Figure] | None = None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The dataset of a run."""

    classes: list[str]


@dataclass(frozen=True, kw_only=True)
class Last:
    """The test clips after the last epoch."""

    war: float
    uar: float
    confusion: list[list[int]]


@dataclass(frozen=True, kw_only=True)
class Best:
    """The test clips after the best epoch."""

    chosen_on: str
    war: Figure = None
    uar: Figure = None


@dataclass(frozen=True, kw_only=True)
class Purify:
    """What was decided."""

    pruned: int
    corrected: int
    thresholds: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class TrainClasses:
    """Training clips of each class: as given, as labelled at the end, as predicted."""

    given: list[int]
    now: list[int]
    predicted: list[int]


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """An epoch in numbers."""

    epoch: int
    war: Figure
    labels_right: Figure


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """The time that a run took."""

    run: float
    epochs: float


@dataclass(frozen=True, kw_only=True)
class Content:
    """One run."""

    key: str
    data: str
    backbone: str
    method: str
    unit: str
    seed: int
    labels: str
    dataset: Dataset
    last: Last
    best: Best
    epochs: list[Epoch]
    purify: Purify
    detection: Detection | None
    doubted: Scores | None
    train_classes: TrainClasses
    seconds: Seconds
    part: int = 0

    def __post_init__(self) -> None:
        classes, confusion, counts = self.dataset.classes, self.last.confusion, self.train_classes
        if len(set(classes)) < len(classes) or not classes:
            raise TypeError("dataset.classes must be different names")
        rows = [*confusion, counts.given, counts.now, counts.predicted]
        if any(len(row) != len(classes) for row in rows) or len(confusion) != len(classes):
            raise TypeError(f"confusion and train_classes must be of {len(classes)} classes")
        if any(count < 0 for row in rows for count in row):
            raise TypeError("confusion and train_classes must be counts")


def require_content(content: Any) -> None:
    """Raise a TypeError for a result that tables and figures cannot read."""
    _require_moderate(content)
    Content(**read_fields(Content, read(dict[str, Any], content, "the result")))


def _require_moderate(value: Any) -> None:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        _require_moderate(each)
    if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) < _LARGEST):
        raise TypeError(f"a number must be finite and below {_LARGEST:g}, but is {value!r:.40}")
