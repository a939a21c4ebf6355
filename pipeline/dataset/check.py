"""Look at every clip on all cores; what cannot be fed is quarantined in the table, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

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
    """Look at every clip again: mark the bad ones, release the mended ones, and save the table."""
    dataset.require_media()
    with only_writer(dataset.folder):
        kinds = [KINDS[code] for code in dataset.clips.kind.codes]
        probes = probe_clips([str(dataset.media / path) for path in dataset.clips.path], kinds, depth, progress)
        if all(found.fault == MISSING for found in probes):
            raise DatasetError(
                f"none of the {len(dataset)} clips of dataset '{dataset.name}' is in '{dataset.media}'."
                " Nothing was marked. Mount the media, or set `root` in its dataset.toml."
            )
        checked = dataset.save_clips(with_probes(dataset.clips, probes))
    return checked, problems(checked.clips)


def probe_clips(paths: Sequence[str], kinds: Sequence[str], depth: Depth, progress: Progress) -> list[Probe]:
    """Probe clips on all cores; one that kills its process is told as such."""
    found = [Probe()] * len(paths)
    tasks = [(path, kind, depth) for path, kind in zip(paths, kinds, strict=True)]
    with closing(map_tasks(_probe, tasks)) as results:
        for done, (position, result) in enumerate(results, start=1):
            found[position] = Probe(fault="crashes the decoder") if isinstance(result, Crashed) else result
            progress(done, len(paths))
    return found


def _probe(task: tuple[str, str, Depth]) -> Probe:
    return probe(*task)


def with_probes(clips: ClipTable, probes: Sequence[Probe]) -> ClipTable:
    """Return the table with what the probes found."""
    return clips.replace(
        frames=np.array([found.frames for found in probes], np.int32),
        width=np.array([found.width for found in probes], np.int32),
        height=np.array([found.height for found in probes], np.int32),
        codec=Categories.of([found.codec for found in probes]),
        quarantine=Categories.of([found.fault for found in probes]),
    )


def problems(clips: ClipTable) -> list[Problem]:
    """List the quarantined clips, with their reasons."""
    bad = np.flatnonzero(clips.quarantine.codes >= 0).tolist()
    return [Problem(id=clip, path=clips.path[clip], reason=clips.quarantine[clip] or "") for clip in bad]
