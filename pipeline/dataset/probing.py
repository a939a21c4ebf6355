"""Look at many clips on all cores, and put what was found into the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from sciu.pipeline.dataset.probe import Depth, Probe, probe
from sciu.pipeline.dataset.table import Categories, ClipTable
from sciu.pipeline.dataset.workers import Crashed, map_tasks

Progress = Callable[[int, int], None]
"""Called with what is done and the total."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A clip that must not be fed."""

    id: int
    name: str
    reason: str


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
    return [Problem(id=clip, name=clips.name[clip], reason=clips.quarantine[clip] or "") for clip in bad]
