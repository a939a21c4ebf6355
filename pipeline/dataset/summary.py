"""A dataset in numbers: classes by split, frames, sizes, codecs, quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sciu.pipeline.dataset.table import SPLITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sciu.pipeline.dataset.dataset import Dataset
    from sciu.pipeline.dataset.importers.listing import Published


def summarise(dataset: Dataset, fold: int = 1) -> dict[str, Any]:
    """Return what `sciu-data info` shows; the splits are those of one fold, quarantined clips counted with the rest."""
    clips, usable = dataset.clips, ~dataset.quarantined
    return {
        "name": dataset.name,
        "kind": dataset.kind,
        "clips": len(dataset),
        "classes": list(dataset.classes),
        "folds": dataset.folds,
        "fold": fold,
        "splits": class_counts(dataset, fold),
        "quarantined": int((~usable).sum()),
        "quarantine": _tally(np.array([clips.quarantine[clip] for clip in np.flatnonzero(~usable)], object)),
        "frames": _spread(clips.frames[usable]),
        "sizes": _tally(np.array([f"{w}x{h}" for w, h in zip(clips.width[usable], clips.height[usable], strict=True)], object)),
        "codecs": _tally(np.array([clips.codec[clip] for clip in np.flatnonzero(usable)], object)),
        "groups": len(clips.group.names),
        "media": str(dataset.media),
        "fingerprint": dataset.fingerprint,
    }


def class_counts(dataset: Dataset, fold: int) -> dict[str, dict[str, int]]:
    """Count the clips by split and class; a split without clips is left out."""
    splits = dataset.splits(fold)
    counts = {}
    for split in SPLITS:
        by_class = np.bincount(dataset.labels[splits.where(split)], minlength=len(dataset.classes))
        if by_class.any():
            counts[split] = dict(zip(dataset.classes, by_class.tolist(), strict=True))
    return counts


def beside_published(dataset: Dataset, published: Published) -> list[dict[str, Any]]:
    """Return (fold, split, class or None for all) with the count here and the published one."""
    rows: list[dict[str, Any]] = []
    for (fold, split), total in published.totals.items():
        here = class_counts(dataset, fold).get(split, {}) if fold <= dataset.folds else {}
        for name, count in published.by_class.get((fold, split), {}).items():
            rows.append({"fold": fold, "split": split, "class": name, "here": here.get(name, 0), "published": count})
        rows.append({"fold": fold, "split": split, "class": None, "here": sum(here.values()), "published": total})
    return rows


def _tally(values: NDArray[Any]) -> dict[str, int]:
    names, counts = np.unique(values.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {str(names[k]): int(counts[k]) for k in order}


def _spread(values: NDArray[np.int32]) -> dict[str, int] | None:
    if not len(values):
        return None
    return {"min": int(values.min()), "median": int(np.median(values)), "max": int(values.max())}
