"""Look at every clip on all cores; what cannot be fed is quarantined in the table, with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sciu.pipeline.dataset.dataset import Dataset
from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.files import only_writer
from sciu.pipeline.dataset.probe import MISSING, Depth, Probe, probe
from sciu.pipeline.dataset.table import KINDS, Categories, ClipTable
from sciu.pipeline.dataset.workers import Crashed, map_tasks

Progress = Callable[[int, int], None]
"""Called with what is done and the total."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A clip that must not be fed."""

    id: int
    path: str
    reason: str


def check(dataset: Dataset, depth: Depth, progress: Progress) -> tuple[Dataset, list[Problem]]:
    """Look at every clip again: mark the bad ones, release the mended ones, and save the table.

    A clip in quarantine is decoded whatever the depth: what only decoding found is not released by less.
    """
    dataset.require_media()
    if not os.access(dataset.folder, os.W_OK):
        raise DatasetError(
            f"'{dataset.folder}' must be writable to mark what is found. Copy it, or change its permissions."
        )
    with only_writer(dataset.folder):
        kinds = [KINDS[code] for code in dataset.clips.kind.codes]
        depths = ["decode" if marked else depth for marked in dataset.quarantined]
        probes = probe_clips([str(dataset.media / path) for path in dataset.clips.path], kinds, depths, progress)
        require_any(probes, f"dataset '{dataset.name}'", dataset.media)
        probes = [_beside_table(dataset.clips, clip, found) for clip, found in enumerate(probes)]
        checked = dataset.save_clips(with_probes(dataset.clips, probes))
    return checked, problems(checked.clips)


def _beside_table(clips: ClipTable, clip: int, found: Probe) -> Probe:
    """Hold what was found against what is known."""
    if found.fault is None and found.stored < clips.frames[clip]:
        return Probe(fault=f"has {found.stored} frames, but the table says {clips.frames[clip]}: damaged or replaced")
    if found.fault == MISSING and clips.quarantine[clip]:
        return Probe(fault=clips.quarantine[clip])  # packing left it out, and the table says why
    return found


def require_any(probes: Sequence[Probe], what: str, media: Path) -> None:
    """Refuse a source of which no clip can be used: a lost disk is one fault, not thousands of bad clips."""
    if probes and all(found.fault is not None for found in probes):
        raise DatasetError(
            f"none of the {len(probes)} clips of {what} in '{media}' can be used; the first {probes[0].fault}."
            " Nothing was marked. Mount the media, or correct the path."
        )


def probe_clips(paths: Sequence[str], kinds: Sequence[str], depths: Sequence[Depth], progress: Progress) -> list[Probe]:
    """Probe clips on all cores; one that kills its process is told as such."""
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
    """Return the table with what the probes found; of a clip with a fault the numbers stay what they were."""
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
    return [Problem(id=clip, path=clips.path[clip], reason=clips.quarantine[clip] or "") for clip in bad]
