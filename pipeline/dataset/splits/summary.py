"""A dataset in numbers: classes by split, groups in two splits, frames, sizes, codecs, quarantine; and its faults."""

from __future__ import annotations

import shlex
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset.dataset import Dataset
from sciu.pipeline.dataset.importers.listing import Published
from sciu.pipeline.dataset.table import SPLITS

_MANY_CLASSES = 1000  # for faces: a sign of names or numbers of clips in the place of labels


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
        "straddling": straddling(dataset, fold),
        "media": str(dataset.media),
        "fingerprint": dataset.fingerprint,
    }


def class_counts(dataset: Dataset, fold: int) -> dict[str, dict[str, int]]:
    """Return the number of clips by split and class, without empty splits."""
    splits = dataset.splits(fold)
    counts = {split: dataset.clips.label.counts(splits.where(split)) for split in SPLITS}
    return {split: by_class for split, by_class in counts.items() if any(by_class.values())}


def straddling(dataset: Dataset, fold: int) -> dict[str, dict[str, int]]:
    """Return, for test and val, how many groups have clips there and in train, and how many clips there they have.

    A split without such groups is left out.
    """
    splits, group = dataset.splits(fold), dataset.clips.group.codes
    found: dict[str, dict[str, int]] = {}
    for split in ("test", "val"):
        there = splits.where(split) & (group >= 0)
        both = np.intersect1d(group[there], group[splits.where("train")])
        if len(both):
            found[split] = {"groups": len(both), "clips": int(np.isin(group[there], both).sum())}
    return found


def cautions(dataset: Dataset, fold: int = 1) -> list[str]:
    """Return, a sentence each, what makes the results of a training on the dataset mean less than they seem to."""
    command = f"sciu-data split {shlex.quote(str(dataset.folder))}"
    told = [
        f"{found['groups']:,} of {len(dataset.clips.group.names):,} groups (people, films, scenes) have clips in train"
        f" and in {split}, {found['clips']:,} of {dataset.splits(fold).where(split).sum():,} {split} clips: results on"
        f" them say little about new groups. `{command} --test 0.2 --replace --by group` keeps groups together"
        for split, found in straddling(dataset, fold).items()
    ]
    told += [
        f"classes {', '.join(map(repr, names))} differ only in capitals, blanks or the form of letters:"
        " `sciu-data import --rename OLD=NEW` makes them one"
        for names in _alike(dataset.classes)
    ]
    if len(labels := np.unique(dataset.labels)) == 1:
        told.append(
            f"all clips have one label, {dataset.classes[labels[0]]!r}, and a classifier needs two classes: are the"
            " labels in another column or folder?"
        )
    elif len(dataset.classes) >= _MANY_CLASSES or 2 * _single(dataset) > len(dataset.classes):
        told.append(
            f"there are {len(dataset.classes):,} classes, {_single(dataset):,} of them with one clip: are the labels in"
            " another column or folder?"
        )
    if not dataset.splits(fold).where("test").any():
        told.append(f"fold {fold} has no test clips, which a training needs: `{command} --test 0.2` draws some")
    return told


def _alike(classes: Sequence[str]) -> list[list[str]]:
    """Return the names of classes that look the same."""
    groups = defaultdict(list)
    for name in classes:
        groups[" ".join(unicodedata.normalize("NFKC", name).casefold().split())].append(name)
    return [names for names in groups.values() if len(names) > 1]


def _single(dataset: Dataset) -> int:
    """Return the number of classes with one clip."""
    return int((np.bincount(dataset.labels) == 1).sum())


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
