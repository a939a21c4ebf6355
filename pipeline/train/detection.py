"""What purification found, held against what is known to be wrong: for datasets that come with a truth."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.dataset import TRUTH


@dataclass(frozen=True, eq=False)
class Truth:
    """By clip id."""

    label: NDArray[np.int64]
    low_quality: NDArray[np.bool_]


def read_truth(dataset: Dataset) -> Truth | None:
    """Read `truth.csv`, if the dataset has one."""
    path = dataset.folder / TRUTH
    if not path.exists():
        return None
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        labels = [dataset.classes.index(row["true_label"]) for row in rows]
        kinds = [row["kind"] for row in rows]
    except (KeyError, ValueError) as error:
        raise DatasetError(
            f"'{path}' must name a true_label and a kind for every clip, but: {error}. Mend it."
        ) from error
    if len(rows) != len(dataset):
        raise DatasetError(f"'{path}' must have {len(dataset)} clips, but has {len(rows)}. It is of another dataset.")
    return Truth(np.array(labels), np.array([kind == "low_quality" for kind in kinds]))


def detection(
    truth: Truth, train: NDArray[np.int64], given: NDArray[np.int16], now: NDArray[np.int16], pruned: NDArray[np.bool_]
) -> dict[str, Any]:
    """Compare the labels given with those of now, by clip id, -1 where a clip does not train."""
    true, bad = truth.label[train], truth.low_quality[train]
    before, after, gone = given[train], now[train], pruned[train]
    kept = after >= 0
    corrected = kept & (after != before)
    wrong = kept & (before != true)
    return {
        "low_quality": _scores(gone, bad),
        "wrong_label": _scores(corrected, wrong),
        "correction_accuracy": _share(corrected & (after == true), corrected),
        "clean_labels_broken": int((corrected & (before == true)).sum()),
        "label_accuracy_before": _share(before == true, np.ones_like(kept)),
        "label_accuracy_after": _share(kept & (after == true), kept),
    }


def _scores(found: NDArray[np.bool_], planted: NDArray[np.bool_]) -> dict[str, float | None]:
    precision, recall = _share(found & planted, found), _share(found & planted, planted)
    both = (precision or 0.0) + (recall or 0.0)
    f1 = None if precision is None or recall is None else round(2 * precision * recall / both, 4) if both else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float | None:
    """Return a share, None of nothing."""
    return round(float(part.sum() / whole.sum()), 4) if whole.any() else None
