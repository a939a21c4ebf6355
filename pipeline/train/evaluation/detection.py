"""What purification found, compared with what is known to be wrong: for datasets with a `truth.csv`."""

from __future__ import annotations

import csv
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.dataset import TRUTH
from sciu.pipeline.train.record.epoch_record import Detection

_BAD = ("low_quality", "unusable")
_UNJUDGED = "unjudged"
_KINDS = ("clean", "mislabelled", *_BAD, _UNJUDGED)
_UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Truth:
    """The truth by clip id. A clip that could not be judged has no label, is not bad, and counts in no figure."""

    label: NDArray[np.int64]  # -1: unknown, of unjudged clips and of some bad ones
    low_quality: NDArray[np.bool_]
    classes: tuple[str, ...] = ()

    @property
    def known(self) -> NDArray[np.bool_]:
        """Mask of the clips that were judged."""
        return (self.label >= 0) | self.low_quality


def read_truth(dataset: Dataset) -> Truth | None:
    """Read `truth.csv`, if the dataset has one: its rows are by clip id, or by the clips' names if it has a `path`."""
    path = dataset.folder / TRUTH
    if not path.exists():
        return None
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        rows = _by_name(rows, dataset) if rows and "path" in rows[0] else _by_id(rows, len(dataset))
        labels = [_label(row, dataset) for row in rows]
        kinds = [row["kind"] for row in rows]
    except KeyError as error:
        raise DatasetError(f"'{path}' must have columns true_label and kind, but lacks {error}. Fix it.") from error
    except ValueError as error:
        raise DatasetError(f"'{path}' must hold the truth of every clip, but {error}. Fix it.") from error
    return Truth(np.array(labels), np.array([kind in _BAD for kind in kinds]), dataset.classes)


def _by_name(rows: list[dict[str, str]], dataset: Dataset) -> list[dict[str, str]]:
    """Sort rows that name their clips by clip id; a clip without a row is unjudged."""
    named = {row["path"]: row for row in rows}
    if missing := named.keys() - set(dataset.clips.name):
        raise ValueError(f"the dataset has no clip {min(missing)!r}")
    return [named.get(name, {"true_label": "", "kind": _UNJUDGED}) for name in dataset.clips.name]


def _by_id(rows: list[dict[str, str]], clips: int) -> list[dict[str, str]]:
    """Sort rows by their clip id."""
    ids = [row.get("clip_id") or str(number) for number, row in enumerate(rows)]
    if sorted(ids) != sorted(map(str, range(clips))):
        raise ValueError(f"its {len(ids)} clip_ids are not 0 to {clips - 1}, each once; is it of another dataset?")
    by_id = dict(zip(ids, rows, strict=True))
    return [by_id[str(clip)] for clip in range(clips)]


def _label(row: dict[str, str], dataset: Dataset) -> int:
    """Return a clip's true label, -1 if it is unknown."""
    if row["kind"] not in _KINDS:
        raise ValueError(f"{row['kind']!r} is not a kind; these are: {', '.join(_KINDS)}")
    if row["kind"] == _UNJUDGED or (row["kind"] in _BAD and not row["true_label"]):
        return _UNKNOWN
    if row["true_label"] not in dataset.classes:
        raise ValueError(f"{row['true_label']!r} is not a class; these are: {', '.join(dataset.classes)}")
    return dataset.classes.index(row["true_label"])


def detection(
    truth: Truth, train: NDArray[np.int64], given: NDArray[np.int16], now: NDArray[np.int16], pruned: NDArray[np.bool_]
) -> Detection:
    """Compare the given labels with the current ones, by clip id, -1 where a clip does not train.

    Figures about labels count clips whose true label is known; `touched` means pruned, or relabelled to any class.
    """
    train = train[truth.known[train]]
    true, bad = truth.label[train], truth.low_quality[train]
    before, after, gone = given[train], now[train], pruned[train]
    labelled, kept = true >= 0, after >= 0
    corrected = kept & labelled & (after != before)
    touched = labelled & ((after != before) | gone)
    right, wrong = labelled & ~bad & (before == true), labelled & (before != true)
    return {
        "low_quality": scores(gone, bad),
        "wrong_label": scores(corrected, kept & wrong),
        "wrong_label_touched": scores(touched & ~bad, wrong & ~bad),
        "correction_accuracy": _share(corrected & (after == true), corrected),
        "clean_labels_broken": int((corrected & (before == true)).sum()),
        "right_labels_touched": _share(right & touched, right),
        "label_accuracy_before": _share(labelled & (before == true), labelled),
        "label_accuracy_after": _share(kept & labelled & (after == true), kept & labelled),
        "class_members_kept": {
            name: _share(members & (after == k), members)
            for k, name in enumerate(truth.classes)
            for members in [labelled & ~bad & (true == k)]
        },
    }


def scores(found: NDArray[np.bool_], planted: NDArray[np.bool_]) -> dict[str, float | None]:
    """Return precision, recall and F1 of the clips found, against those planted."""
    precision, recall = _share(found & planted, found), _share(found & planted, planted)
    both = (precision or 0.0) + (recall or 0.0)
    f1 = None if precision is None or recall is None else round(2 * precision * recall / both, 4) if both else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float | None:
    """Return the share of `part` in `whole`, None if that is empty."""
    return round(float(part.sum() / whole.sum()), 4) if whole.any() else None
