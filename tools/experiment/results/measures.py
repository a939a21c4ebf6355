"""The measures of a run: one number each, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from sciu.tools.experiment.results.read import Result
from sciu.tools.experiment.results.statistics import large_classes, uar_of


@dataclass(frozen=True)
class Measure:
    """A number of a run; `read` returns None if it has none."""

    title: str
    read: Callable[[Result], float | None]
    share: bool = True  # shown in per cent
    digits: int = 0  # of a number that is no share


def measures(least: int, large: int | None, classes: Sequence[str]) -> dict[str, Measure]:
    """Return all; `uar_large` covers the `large` classes with `least` test clips, and is absent if `large` is None."""
    found = {
        "war": Measure("WAR", lambda run: run.content["last"]["war"]),
        "war_error": Measure("its error by test clips", _war_error),
        "uar": Measure("UAR", lambda run: run.content["last"]["uar"]),
        "uar_large": Measure(f"UAR{large}", lambda run: _uar_large(run, least)),
        "war_best": Measure("WAR, best epoch", lambda run: run.content["best"].get("war")),
        "uar_best": Measure("UAR, best epoch", lambda run: run.content["best"].get("uar")),
        "pruned": Measure("pruned", lambda run: run.content["purify"]["pruned"], share=False),
        "corrected": Measure("corrected", lambda run: run.content["purify"]["corrected"], share=False),
        "unusable_precision": _found("unusable: precision", "low_quality", "precision"),
        "unusable_recall": _found("unusable: recall", "low_quality", "recall"),
        "wrong_precision": _found("corrected: precision", "wrong_label", "precision"),
        "wrong_f1": _found("corrected: F1", "wrong_label", "f1"),
        "touched_f1": _found("pruned or corrected: F1", "wrong_label_touched", "f1"),
        "doubted_f1": Measure("doubted: F1", lambda run: (run.content["doubted"] or {}).get("f1")),
        "corrections_right": _found("corrections right", "correction_accuracy"),
        "right_touched": _found("right labels touched", "right_labels_touched"),
        "labels_right_before": _found("labels right, given", "label_accuracy_before"),
        "labels_right": _found("labels right, kept", "label_accuracy_after"),
        "least_kept": Measure("least class kept", _least_kept),
        "pull": Measure("pull", lambda run: run.content["purify"]["thresholds"].get("pull"), share=False, digits=2),
        "seconds": Measure("seconds", lambda run: run.content["seconds"]["epochs"], share=False),
    }
    for name in classes:
        found[RECALL + name] = Measure(name, partial(_recall, name=name))
        found[KEPT + name] = _found(name, "class_members_kept", name)
    return found if large is not None else {name: each for name, each in found.items() if name != "uar_large"}


RECALL, KEPT = "recall_", "kept_"  # and a class
ACCURACY = ("war", "war_error", "uar", "uar_large", "war_best", "uar_best")
AGAINST_PLAIN = ("war", "uar", "uar_large")
DETECTION = (
    "pruned", "corrected", "unusable_precision", "unusable_recall", "wrong_precision", "wrong_f1", "touched_f1",
    "doubted_f1", "corrections_right", "right_touched", "labels_right_before", "labels_right", "least_kept", "pull",
)  # fmt: skip


def count_large(run: Result, least: int) -> int | None:
    """Return how many classes have enough test clips; None if all have."""
    large = large_classes(run.confusion().counts, least)
    return None if large.all() else int(large.sum())


def _war_error(run: Result) -> float:
    """Return how far the share of right clips is from what more test clips like these would show."""
    war, clips = run.content["last"]["war"], int(run.confusion().counts.sum())
    return float((war * (1 - war) / max(clips, 1)) ** 0.5)


def _uar_large(run: Result, least: int) -> float | None:
    counts = run.confusion().counts
    return uar_of(counts, large_classes(counts, least))


def _recall(run: Result, name: str) -> float | None:
    value = run.confusion().recalls[run.classes.index(name)] if name in run.classes else float("nan")
    return None if np.isnan(value) else float(value)


def _found(title: str, *keys: str) -> Measure:
    def read(run: Result) -> float | None:
        value: Any = run.content["detection"]
        for key in keys:
            value = value.get(key) if value else None
        return value

    return Measure(title, read)


def _least_kept(run: Result) -> float | None:
    """Return the share of true members kept, of the class that lost the most."""
    kept = [
        share
        for share in ((run.content["detection"] or {}).get("class_members_kept") or {}).values()
        if share is not None
    ]
    return min(kept, default=None)
