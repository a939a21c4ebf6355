"""Statistics of a dataset: classes by split, frames, sizes, codecs, quarantine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset.dataset import Dataset
from sciu.pipeline.dataset.importers.listing import Published
from sciu.pipeline.dataset.table import SPLITS


def summarise(dataset: Dataset, fold: int = 1) -> dict[str, Any]:
    """Return what `sciu-data info` prints; the splits of the given fold count quarantined clips too."""
    clips, usable = dataset.clips, ~dataset.quarantined
    sizes, counts = np.unique(clips.width[usable].astype(np.int64) << 32 | clips.height[usable], return_counts=True)
    return {
        "name": dataset.name,
        "kind": dataset.kind,
        "clips": len(dataset),
        "classes": list(dataset.classes),
        "folds": dataset.folds,
        "fold": fold,
        "splits": class_counts(dataset, fold),
        "quarantined": int((~usable).sum()),
        "quarantine": _largest_first(clips.quarantine.counts()),
        "frames": _range(clips.frames[usable]),
        "sizes": _largest_first(
            {f"{size >> 32}x{size & 0xFFFFFFFF}": n for size, n in zip(sizes.tolist(), counts.tolist(), strict=True)}
        ),
        "codecs": _largest_first(clips.codec.counts(usable)),
        "groups": len(clips.group.names),
        "media": str(dataset.media),
        "fingerprint": dataset.fingerprint,
    }


def class_counts(dataset: Dataset, fold: int) -> dict[str, dict[str, int]]:
    """Return the number of clips by split and class, without empty splits."""
    splits = dataset.splits(fold)
    counts = {split: dataset.clips.label.counts(splits.where(split)) for split in SPLITS}
    return {split: by_class for split, by_class in counts.items() if any(by_class.values())}


def beside_published(dataset: Dataset, published: Published) -> list[dict[str, Any]]:
    """Return a row per fold, split and class (None: all classes) with the actual and the published count."""
    rows: list[dict[str, Any]] = []
    for (fold, split), total in published.totals.items():
        here = class_counts(dataset, fold).get(split, {}) if fold <= dataset.folds else {}
        for name, count in published.by_class.get((fold, split), {}).items():
            rows.append({"fold": fold, "split": split, "class": name, "here": here.get(name, 0), "published": count})
        rows.append({"fold": fold, "split": split, "class": None, "here": sum(here.values()), "published": total})
    return rows


def _largest_first(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(((name, count) for name, count in counts.items() if count), key=lambda item: -item[1]))


def _range(values: NDArray[np.int32]) -> dict[str, int] | None:
    if not len(values):
        return None
    return {"min": int(values.min()), "median": int(np.median(values)), "max": int(values.max())}
