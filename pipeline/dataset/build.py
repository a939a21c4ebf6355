"""Listing -> dataset: probe every listed clip, then write the table."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sciu.pipeline.dataset.check import Progress, probe_clips, problems, with_probes
from sciu.pipeline.dataset.dataset import Dataset
from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.importers.listing import ListedClip, Listing, some
from sciu.pipeline.dataset.media.probe import MISSING
from sciu.pipeline.dataset.system.files import new_folder
from sciu.pipeline.dataset.table import KINDS, SPLITS, Categories, ClipTable


@dataclass(frozen=True, kw_only=True)
class Built:
    """A new dataset and notes for its user."""

    dataset: Dataset
    notes: list[str] = field(default_factory=list)


def build(listing: Listing, out: Path, *, name: str | None, made_by: str, progress: Progress) -> Built:
    """Probe the clips of a listing and write the dataset to a new folder; the media stay where they are."""
    clips = listing.in_order()
    if not clips:
        raise DatasetError(
            f"no clips listed in '{listing.root}'. Check the file or folder; docs/datasets.md shows the layouts."
        )
    _require_utf8(str(listing.root), name)
    with new_folder(out, maker="import") as folder:
        table = listed_table(clips, listing.class_names(), listing.folds)
        paths, kinds = [str(listing.root / clip.path) for clip in clips], [clip.kind for clip in clips]
        probes = probe_clips(paths, kinds, ["count"] * len(clips), progress)
        if all(found.fault is not None for found in probes):
            raise DatasetError(
                f"none of the {len(clips)} listed clips in '{listing.root}' is usable: '{clips[0].path}'"
                f" {probes[0].fault}. Unpack the clips there, or correct the list."
            )
        Dataset(
            folder=folder, name=name or listing.name, classes=tuple(listing.class_names()), root=str(listing.root),
            clips=with_probes(table, probes), made_by=made_by,
        ).save()  # fmt: skip
    dataset = Dataset.load(out)
    return Built(dataset=dataset, notes=[*listing.notes, *_notes(listing, dataset)])


def _require_utf8(*texts: str | None) -> None:
    """Refuse names that the manifest cannot store, before any work is done."""
    for text in texts:
        try:
            (text or "").encode()
        except UnicodeEncodeError:
            raise DatasetError(f"names must be UTF-8, but one is {text!r}. Rename it.") from None


def listed_table(clips: list[ListedClip], classes: list[str], folds: int) -> ClipTable:
    """Return the table of clips that are not probed yet."""
    unknown = np.zeros(len(clips), np.int32)
    return ClipTable(
        name=[clip.path for clip in clips],
        path=[clip.path for clip in clips],
        kind=Categories.of([clip.kind for clip in clips], KINDS),
        frames=unknown, width=unknown, height=unknown, codec=Categories.of([None] * len(clips)),
        label=Categories.of([clip.label for clip in clips], classes),
        folds=tuple(Categories.of([clip.splits.get(fold) for clip in clips], SPLITS) for fold in range(1, folds + 1)),
        group=Categories.of([clip.group for clip in clips]),
        quarantine=Categories.of([None] * len(clips)),
    )  # fmt: skip


def _notes(listing: Listing, dataset: Dataset) -> list[str]:
    notes = []
    if listing.repeated:
        notes.append(f"{listing.repeated} rows repeat an earlier row and were ignored")
    bad = problems(dataset.clips)
    absent = [problem.name for problem in bad if problem.reason == MISSING]
    if absent:
        notes.append(f"{len(absent)} of {len(dataset)} listed clips are missing and were quarantined: {some(absent)}")
    if damaged := [f"{problem.name} ({problem.reason})" for problem in bad if problem.reason != MISSING]:
        notes.append(f"{len(damaged)} clips are unusable and were quarantined: {some(damaged)}")
    return notes
