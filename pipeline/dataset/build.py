"""Listing -> dataset: probe every listed clip, then write the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sciu.pipeline.dataset.check import Progress, probe_clips, problems, with_probes
from sciu.pipeline.dataset.dataset import MOST_CLASSES, Dataset
from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.importers.listing import ListedClip, Listing, some
from sciu.pipeline.dataset.media.kinds import is_video
from sciu.pipeline.dataset.media.probe import MISSING
from sciu.pipeline.dataset.splits.split import Split, drawn, split_clips
from sciu.pipeline.dataset.splits.summary import cautions
from sciu.pipeline.dataset.system.files import new_folder
from sciu.pipeline.dataset.table import KINDS, SPLITS, Categories, ClipTable


@dataclass(frozen=True, kw_only=True)
class Built:
    """A new dataset and notes for its user."""

    dataset: Dataset
    notes: list[str] = field(default_factory=list)


def build(
    listing: Listing, out: Path, *, name: str | None, made_by: str, progress: Progress, split: Split | None = None
) -> Built:
    """Probe the clips of a listing and write the dataset to a new folder; the media stay where they are.

    A split divides the clips that turn out to be usable.
    """
    clips = listing.in_order()
    if not clips:
        found = "".join(f" {note[0].upper()}{note[1:]}." for note in listing.notes)
        raise DatasetError(
            f"no clips listed in '{listing.root}'.{found} Check the file or folder; docs/datasets.md shows the layouts."
        )
    _require_utf8(str(listing.root), name)
    _require_classes(listing.class_names(), len(clips))
    with new_folder(out, maker="import") as folder:
        table = listed_table(clips, listing.class_names(), listing.folds)
        if split:
            split_clips(table, split)  # what cannot be split is refused before hours of work
        paths, kinds = [str(listing.root / clip.path) for clip in clips], [clip.kind for clip in clips]
        probes = probe_clips(paths, kinds, ["count"] * len(clips), progress)
        if all(found.fault is not None for found in probes):
            raise DatasetError(
                f"none of the {len(clips)} listed clips in '{listing.root}' is usable: '{clips[0].path}'"
                f" {probes[0].fault}. Unpack the clips there, or correct the list."
            )
        table = with_probes(table, probes)
        Dataset(
            folder=folder, name=name or listing.name, classes=tuple(listing.class_names()), root=str(listing.root),
            clips=split_clips(table, split) if split else table,
            made_by=f"{made_by}; {split.of(table)}" if split else made_by,
        ).save()  # fmt: skip
    dataset = Dataset.load(out)
    told = drawn(dataset, split) if split else []
    return Built(dataset=dataset, notes=[*listing.notes, *_notes(listing, dataset), *told, *cautions(dataset)])


def without_labels(paths: Sequence[Path], classes: Sequence[str], progress: Progress) -> Dataset:
    """Return a dataset of clips whose labels nobody knows; it is not saved, and has a clip for each path, in order."""
    kinds = ["video" if is_video(path.name) else "frames" for path in paths]
    listed = [ListedClip(str(path.absolute()), kind, "", "") for path, kind in zip(paths, kinds, strict=True)]
    probes = probe_clips([clip.path for clip in listed], kinds, ["count"] * len(listed), progress)
    names = [str(number) for number in range(len(listed))]  # a path may be no text
    unknown = Categories(np.full(len(listed), -1, np.int32), tuple(classes))
    clips = with_probes(listed_table(listed, [""], folds=1).replace(label=unknown, name=names), probes)
    return Dataset(folder=Path("/"), name="clips", classes=tuple(classes), root="/", clips=clips)


def _require_utf8(*texts: str | None) -> None:
    """Refuse names that the manifest cannot store, before any work is done."""
    for text in texts:
        try:
            (text or "").encode()
        except UnicodeEncodeError:
            raise DatasetError(f"names must be UTF-8, but one is {text!r}. Rename it.") from None


def _require_classes(names: list[str], clips: int) -> None:
    """Refuse more classes than labels can number, before any work is done."""
    if len(names) > MOST_CLASSES:
        raise DatasetError(
            f"there must be at most {MOST_CLASSES:,} classes, but {clips:,} clips have {len(names):,} different labels,"
            f" such as {names[0]!r}: is that a column of names or numbers of clips? Name the column of labels:"
            " `sciu-data import csv --columns label=COLUMN`."
        )


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
    if several := [name for name in dataset.classes if "|" in name or ";" in name]:
        notes.append(
            f"{len(several)} labels with | or ; are taken as one class each, because a clip has one class:"
            f" {some(several)}. --rename OLD=NEW makes one the same as another class"
        )
    bad = problems(dataset.clips)
    absent = [problem.name for problem in bad if problem.reason == MISSING]
    if absent:
        notes.append(f"{len(absent)} of {len(dataset)} listed clips are missing and were quarantined: {some(absent)}")
    if damaged := [f"{problem.name} ({problem.reason})" for problem in bad if problem.reason != MISSING]:
        notes.append(f"{len(damaged)} clips are unusable and were quarantined: {some(damaged)}")
    return notes
