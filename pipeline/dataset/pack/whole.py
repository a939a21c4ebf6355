"""Rewrite a dataset into one size and codec, one file per clip, for fast decoding. The source is only read.

The work is done in `<out>.partial`, which is renamed to `out` at the end. After any interruption, run it again to
continue: finished clips are kept, and other settings are refused. Jobs that pack a shard each make parts; the pack
without a shard joins them.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from sciu.pipeline.dataset.check import Problem, Progress, problems, with_probes
from sciu.pipeline.dataset.dataset import TRUTH, Dataset
from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.media.encode import KIND, SUFFIX
from sciu.pipeline.dataset.media.probe import MISSING, Probe
from sciu.pipeline.dataset.pack.clip import How, Packing, Task, pack_clip
from sciu.pipeline.dataset.pack.parts import MEDIA, Outcomes, Parts, Shard, same_settings
from sciu.pipeline.dataset.system.files import new_folder, require_new_folder
from sciu.pipeline.dataset.system.workers import Crashed, map_tasks
from sciu.pipeline.dataset.table import KINDS, Categories

_CRASHED: tuple[Probe, How] = (Probe(fault="crashes the decoder"), "failed")


@dataclass(frozen=True, kw_only=True)
class Packed:
    """The new dataset, the number of clips by outcome, and the clips that could not be packed."""

    dataset: Dataset
    counts: dict[How, int]
    problems: list[Problem]


@dataclass(frozen=True, kw_only=True)
class PackedPart:
    """A part's folder, the number of its clips by outcome, and the clips that could not be packed."""

    folder: Path
    counts: dict[How, int]
    problems: list[Problem]


def pack(dataset: Dataset, out: Path, packing: Packing, progress: Progress) -> Packed:
    """Pack every clip that is not in quarantine, or join the parts; ids, labels and folds stay the same."""
    dataset.require_media()
    parts = _parts(dataset, out, packing)
    with new_folder(out, maker="pack", keep_partial=True) as folder:
        same_settings(folder, {**parts.settings, "media": str(dataset.media)})
        wanted = _names(dataset, packing)
        joined = parts.exist()
        done = parts.join(wanted, folder) if joined else _pack_clips(dataset, wanted, folder, packing, progress)
        probes = [
            done[clip][0] if clip in done else Probe(fault=dataset.clips.quarantine[clip])
            for clip in range(len(dataset))
        ]
        names = [_name(clip, packing) for clip in range(len(dataset))]
        clips = dataset.clips.replace(path=names, kind=Categories.of([KIND[packing.codec]] * len(dataset), KINDS))
        if (dataset.folder / TRUTH).exists():
            shutil.copyfile(dataset.folder / TRUTH, folder / TRUTH)
        made_by = f"pack of {dataset.name} with {packing}"
        replace(dataset, folder=folder, root=MEDIA, clips=with_probes(clips, probes), made_by=made_by).save()
        parts.remove(folder, joined=joined)
    new = Dataset.load(out)
    return Packed(dataset=new, counts=_counts(done), problems=problems(new.clips))


def pack_shard(dataset: Dataset, out: Path, packing: Packing, shard: Shard, progress: Progress) -> PackedPart:
    """Pack a shard of the clips into a part of its own, beside `out`; in a finished part, only those that failed."""
    dataset.require_media()
    require_new_folder(out.absolute())
    parts = _parts(dataset, out, packing)
    parts.require_same_division(shard)
    wanted = {clip: name for clip, name in _names(dataset, packing).items() if shard.has(clip)}
    done = _pack_part(dataset, parts, wanted, shard, progress)
    failures = [
        Problem(id=clip, name=dataset.clips.name[clip], reason=found.fault)
        for clip, (found, _) in sorted(done.items())
        if found.fault
    ]
    return PackedPart(folder=parts.folder(shard), counts=_counts(done), problems=failures)


def _pack_part(dataset: Dataset, parts: Parts, wanted: dict[int, str], shard: Shard, progress: Progress) -> Outcomes:
    part = parts.folder(shard)
    if not part.exists():
        with new_folder(part, maker="pack", keep_partial=True) as folder:
            parts.begin(shard, folder)
            done = _pack_clips(dataset, wanted, folder, parts.packing, progress)
            parts.write(done, folder)
        return done
    done = parts.read(shard, wanted)
    if failed := {clip: wanted[clip] for clip, (_, how) in done.items() if how == "failed"}:
        with parts.only_writer(shard):
            done |= _pack_clips(dataset, failed, part, parts.packing, progress)
            parts.write(done, part)
    return done


def _parts(dataset: Dataset, out: Path, packing: Packing) -> Parts:
    return Parts(out, packing, {"source": dataset.fingerprint, **asdict(packing)})


def _name(clip: int, packing: Packing) -> str:
    return f"{clip:07d}{SUFFIX[packing.codec]}"


def _names(dataset: Dataset, packing: Packing) -> dict[int, str]:
    """Return the clips to pack with the names of their files."""
    return {clip: _name(clip, packing) for clip in np.flatnonzero(~dataset.quarantined).tolist()}


def _pack_clips(
    dataset: Dataset, wanted: dict[int, str], folder: Path, packing: Packing, progress: Progress
) -> Outcomes:
    """Pack clips on all cores; raise an error if some are missing, and keep what was packed."""
    media = folder / MEDIA
    media.mkdir(exist_ok=True)
    clips = list(wanted)
    tasks = [
        Task(dataset.path(clip), dataset.kind_of(clip), int(dataset.clips.frames[clip]), media / name, packing)
        for clip, name in wanted.items()
    ]
    done: Outcomes = {}
    with closing(map_tasks(pack_clip, tasks)) as results:
        for position, result in results:
            done[clips[position]] = _CRASHED if isinstance(result, Crashed) else result
            progress(len(done), len(clips))
    if missing := sorted(clip for clip, (found, _) in done.items() if found.fault == MISSING):
        raise DatasetError(
            f"{len(missing)} clips of dataset '{dataset.name}' are missing from '{dataset.media}' (the first:"
            f" '{dataset.clips.path[missing[0]]}'). The others are packed. Restore the missing clips, or let"
            " `sciu-data check` quarantine them, then run the command again."
        )
    return done


def _counts(done: Outcomes) -> dict[How, int]:
    counts: dict[How, int] = {"copied": 0, "encoded": 0, "kept": 0, "failed": 0}
    for _, how in done.values():
        counts[how] += 1
    return counts
