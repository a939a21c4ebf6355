"""Split a dataset that came without a test split, when it is imported or later; what was done is stored with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset.dataset import MANIFEST, TABLE, Dataset
from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.splits.divide import REST, divide
from sciu.pipeline.dataset.system.files import only_writer, write_atomically
from sciu.pipeline.dataset.table import SPLITS, Categories, ClipTable
from sciu.pipeline.errors import SettingError, require

BY = ("group", "clip")


@dataclass(frozen=True, kw_only=True)
class Split:
    """The shares of the training clips that become test and val clips, and how they are drawn."""

    test: float | None = None
    val: float | None = None
    by: str | None = None  # None: by group if the clips have groups, else by clip
    seed: int = 0
    anew: bool = False  # draw from the clips that are in these splits already, too

    def __post_init__(self) -> None:
        for name, share in self.shares.items():
            require(0 < share < 1, f"--{name}", "above 0 and below 1", share)
        require(bool(self.shares), "--test or --val", "given", "not")
        require(sum(self.shares.values()) < 1, "--test and --val together", "below 1", sum(self.shares.values()))
        require(self.by in (None, *BY), "--by", f"one of {', '.join(BY)}", repr(self.by))
        require(self.seed >= 0, "--seed", "at least 0", self.seed)

    @property
    def shares(self) -> dict[str, float]:
        """The shares by the name of their split."""
        return {name: share for name, share in (("test", self.test), ("val", self.val)) if share is not None}

    def __str__(self) -> str:
        shares = ", ".join(f"{name} {share:g}" for name, share in self.shares.items())
        return f"split with {shares}, by {self.by}, seed {self.seed}"

    def of(self, clips: ClipTable) -> Split:
        """Return the split with `by` decided for these clips."""
        grouped = bool((clips.group.codes >= 0).any())
        if self.by == "group" and not grouped:
            raise SettingError(
                "--by must be clip where no clip has a group, but is group. Import a group for each clip."
            )
        return replace(self, by=self.by or ("group" if grouped else "clip"))


def split_clips(clips: ClipTable, split: Split) -> ClipTable:
    """Return the table with its training clips divided.

    Clips in quarantine go where their group goes, else they stay training clips, and count nowhere.
    """
    _require_unsplit(clips, split)
    split, pool = split.of(clips), _pool(clips, split)
    ids = np.flatnonzero(pool & (clips.quarantine.codes < 0))
    group = clips.group if split.by == "group" else None
    parts = divide(clips.label.some(ids), group and group.some(ids), split.shares, split.seed)
    split_of_part = np.array([SPLITS.index(name) for name in (*split.shares, "train")], np.int32)  # REST is the last
    codes = np.where(pool, split_of_part[REST], clips.folds[0].codes)
    if group is not None:
        of_group = np.full(len(group.names) + 1, split_of_part[REST])
        of_group[group.codes[ids]] = split_of_part[parts]
        of_group[-1] = split_of_part[REST]  # of the clips without a group
        codes = np.where(pool, of_group[group.codes], codes)
    codes[ids] = split_of_part[parts]
    return clips.replace(folds=(Categories(codes, SPLITS),))


def split_dataset(dataset: Dataset, split: Split) -> Dataset:
    """Split a saved dataset, in one step: a process that is killed leaves it as it was, or split."""
    with only_writer(dataset.folder / MANIFEST):
        dataset = Dataset.load(dataset.folder)  # another process may have written it since
        if not dataset.interrupted:
            clips = split_clips(dataset.clips, split)
            if split.anew:
                _keep(dataset)
            return dataset.save_changed(clips, made_by=f"{dataset.made_by}; {split.of(dataset.clips)}")
        dataset.complete()
    return split_dataset(dataset, split)  # under a lock of the new manifest


def kept_in(dataset: Dataset) -> Path:
    """Return the folder that keeps the two files of a dataset when its split is replaced."""
    return dataset.folder / f"split_{dataset.fingerprint[:12]}"


def _keep(dataset: Dataset) -> None:
    """Keep the split, which may be one that others published."""
    folder = kept_in(dataset)
    folder.mkdir(exist_ok=True)
    for name in (TABLE, MANIFEST):
        write_atomically(folder / name, (dataset.folder / name).read_bytes())


def drawn(dataset: Dataset, split: Split) -> list[str]:
    """Return, a sentence each, what a split has come to; whole groups rarely have the size that was asked for."""
    clips, splits = dataset.clips, dataset.splits()
    usable = ~dataset.quarantined
    pool, grouped = _pool(clips, split) & usable, split.of(clips).by == "group"
    told = [
        f"{name} has {chosen.sum():,} of {pool.sum():,} clips ({chosen.sum() / pool.sum():.1%})"
        + (f", {_groups(clips, chosen):,} of {_groups(clips, pool):,} groups" if grouped else "")
        for name in split.shares
        for chosen in [splits.where(name) & usable]
    ]
    if grouped and (alone := int((pool & (clips.group.codes < 0)).sum())):
        told.append(f"{alone:,} clips have no group: each was a group of its own")
    return told


def _groups(clips: ClipTable, among: NDArray[np.bool_]) -> int:
    codes = clips.group.codes[among]
    return len(np.unique(codes[codes >= 0]))


def _require_unsplit(clips: ClipTable, split: Split) -> None:
    """Raise if there are folds, which others published, or clips in one of the splits already."""
    if len(clips.folds) > 1:
        raise DatasetError(
            f"a dataset to split must have one fold, but has {len(clips.folds)}: it is split already. Train on them"
            " with --fold."
        )
    for name in split.shares:
        if not split.anew and (there := int(clips.folds[0].where(name).sum())):
            raise DatasetError(
                f"a dataset to split must have no {name} clips yet, but has {there}. Leave --{name} out, or draw them"
                " anew with `sciu-data split --replace`."
            )


def _pool(clips: ClipTable, split: Split) -> NDArray[np.bool_]:
    """Return a mask of the clips to divide."""
    names = ("train", *split.shares)  # of which only train has clips, unless they are replaced
    pool: NDArray[np.bool_] = np.any([clips.folds[0].where(name) for name in names], axis=0)
    if not (pool & (clips.quarantine.codes < 0)).any():
        raise DatasetError(
            f"a dataset to split must have usable training clips, but has none, and {pool.sum():,} in quarantine."
            " Import it again, or repair their files and run `sciu-data check`."
        )
    return pool
