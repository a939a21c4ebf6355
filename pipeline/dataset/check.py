"""Look at every clip of a dataset; what cannot be fed is quarantined in the table, with the reason."""

from __future__ import annotations

import os

from sciu.pipeline.dataset.dataset import MANIFEST, Dataset
from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.files import only_writer
from sciu.pipeline.dataset.probe import MISSING, Depth, Probe
from sciu.pipeline.dataset.probing import Problem, Progress, probe_clips, problems, with_probes
from sciu.pipeline.dataset.table import ClipTable


def check(dataset: Dataset, depth: Depth, progress: Progress) -> tuple[Dataset, list[Problem]]:
    """Look at every clip again: mark the bad ones, release the mended ones, and save the table.

    A clip in quarantine is decoded whatever the depth: what only decoding found is not released by less.
    """
    dataset.require_media()
    if not os.access(dataset.folder, os.W_OK):
        raise DatasetError(
            f"'{dataset.folder}' must be writable to mark what is found, but is not."
            " Copy it, or change its permissions."
        )
    with only_writer(dataset.folder / MANIFEST):
        paths = [str(dataset.path(clip)) for clip in range(len(dataset))]
        kinds = [dataset.kind_of(clip) for clip in range(len(dataset))]
        depths: list[Depth] = ["decode" if marked else depth for marked in dataset.quarantined]
        probes = probe_clips(paths, kinds, depths, progress)
        if all(found.fault == MISSING for found in probes):
            raise DatasetError(
                f"none of the {len(dataset)} clips of dataset '{dataset.name}' is in '{dataset.media}'."
                " Nothing was marked. Mount the media, or correct `root` in its dataset.toml."
            )
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
