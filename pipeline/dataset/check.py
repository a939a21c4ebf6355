"""Inspect every clip of a dataset on all cores and quarantine those that cannot be fed, with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from sciu.pipeline.dataset.dataset import MANIFEST, Dataset
from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.media.probe import MISSING, Depth, Probe, probe
from sciu.pipeline.dataset.system.files import only_writer
from sciu.pipeline.dataset.system.workers import Crashed, map_tasks
from sciu.pipeline.dataset.table import Categories, ClipTable

Progress = Callable[[int, int], None]
"""Called with the number of finished tasks and the total."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A clip that must not be fed."""

    id: int
    name: str
    reason: str


def probe_clips(paths: Sequence[str], kinds: Sequence[str], depths: Sequence[Depth], progress: Progress) -> list[Probe]:
    """Probe clips on all cores; a clip that kills its process gets that as its fault."""
    found = [Probe()] * len(paths)
    tasks = list(zip(paths, kinds, depths, strict=True))
    with closing(map_tasks(_probe, tasks)) as results:
        for done, (position, result) in enumerate(results, start=1):
            found[position] = Probe(fault="crashes the decoder") if isinstance(result, Crashed) else result
            progress(done, len(paths))
    return found


def _probe(task: tuple[str, str, Depth]) -> Probe:
    return probe(*task)


def with_probes(clips: ClipTable, probes: Sequence[Probe]) -> ClipTable:
    """Return the table updated with the probes; a clip with a fault keeps its previous numbers."""
    good = np.array([found.fault is None for found in probes])
    numbers = {
        name: np.array([getattr(found, name) for found in probes], np.int32) for name in ("frames", "width", "height")
    }
    codecs = [clips.codec[clip] if found.fault else found.codec for clip, found in enumerate(probes)]
    return clips.replace(
        **{name: np.where(good, column, getattr(clips, name)) for name, column in numbers.items()},
        codec=Categories.of(codecs),
        quarantine=Categories.of([found.fault for found in probes]),
    )


def problems(clips: ClipTable) -> list[Problem]:
    """List the quarantined clips, with their reasons."""
    bad = np.flatnonzero(clips.quarantine.codes >= 0).tolist()
    return [Problem(id=clip, name=clips.name[clip], reason=clips.quarantine[clip] or "") for clip in bad]


def check(dataset: Dataset, depth: Depth, progress: Progress) -> tuple[Dataset, list[Problem]]:
    """Inspect every clip again: mark the bad ones, release the repaired ones, and save the table.

    A clip in quarantine is decoded at any depth: a lesser check would release clips whose faults only decoding finds.
    """
    dataset.require_media()
    if not os.access(dataset.folder, os.W_OK):
        raise DatasetError(
            f"'{dataset.folder}' must be writable to mark bad clips, but is not. Copy it, or change its permissions."
        )
    with only_writer(dataset.folder / MANIFEST):
        dataset = Dataset.load(dataset.folder)  # another process may have written it since
        paths = [str(dataset.path(clip)) for clip in range(len(dataset))]
        kinds = [dataset.kind_of(clip) for clip in range(len(dataset))]
        depths: list[Depth] = ["decode" if marked else depth for marked in dataset.quarantined]
        probes = probe_clips(paths, kinds, depths, progress)
        if all(found.fault == MISSING for found in probes):
            raise DatasetError(
                f"none of the {len(dataset)} clips of dataset '{dataset.name}' exists in '{dataset.media}'."
                " Nothing was marked. Mount the media, or correct `root` in its dataset.toml."
            )
        probes = [_beside_table(dataset.clips, clip, found) for clip, found in enumerate(probes)]
        checked = dataset.save_clips(with_probes(dataset.clips, probes))
    return checked, problems(checked.clips)


def _beside_table(clips: ClipTable, clip: int, found: Probe) -> Probe:
    """Compare a probe with what the table says of the clip."""
    if found.fault is None and found.stored < clips.frames[clip]:
        return Probe(fault=f"has {found.stored} frames, but the table says {clips.frames[clip]}: damaged or replaced")
    if found.fault == MISSING and clips.quarantine[clip]:
        return Probe(fault=clips.quarantine[clip])  # packing left it out; the table has the reason
    return found
