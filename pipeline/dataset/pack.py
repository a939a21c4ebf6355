"""Rewrite a dataset into one size and codec, one file a clip, for fast decoding. The source is only read.

The work is done in `<out>.partial`, which becomes `out` in one rename at the end. A run that was stopped, by whatever,
is gone on with by running it again: finished clips are kept, and other settings are refused.
"""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sciu.pipeline.dataset.check import Problem, Progress, problems, with_probes
from sciu.pipeline.dataset.dataset import TRUTH, Dataset
from sciu.pipeline.dataset.encode import CODECS, JPEG_CODECS, KIND, SUFFIX, encode_clip, join_jpegs
from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.files import new_folder, write_atomically
from sciu.pipeline.dataset.probe import MEDIA_ERRORS, Probe, probe, reason
from sciu.pipeline.dataset.read import decode_image, read_images, read_video
from sciu.pipeline.dataset.table import KINDS, Categories
from sciu.pipeline.dataset.workers import Crashed, map_tasks

FITS = ("pad", "crop", "stretch")
_SETTINGS = "pack.json"

How = Literal["copied", "encoded", "kept", "left out"]
"""JPEG files copied as they are; frames encoded; already there from an earlier run; in quarantine."""


_CRASHED: tuple[Probe, How] = (Probe(fault="crashes the decoder"), "left out")


@dataclass(frozen=True, kw_only=True)
class Packing:
    """How to pack."""

    size: int = 128
    max_frames: int = 48
    codec: str = "mjpeg"
    fit: str = "pad"

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 4096 or self.size % 2:
            raise ValueError(f"--size must be an even number from 16 to 4096, but is {self.size}.")
        if self.max_frames < 1:
            raise ValueError(f"--max-frames must be at least 1, but is {self.max_frames}.")
        if self.codec not in CODECS:
            raise ValueError(f"--codec must be one of {list(CODECS)}, but is {self.codec!r}.")
        if self.fit not in FITS:
            raise ValueError(f"--fit must be one of {list(FITS)}, but is {self.fit!r}.")


@dataclass(frozen=True, kw_only=True)
class Packed:
    """The new dataset, what became of the clips, and those that could not be packed."""

    dataset: Dataset
    counts: dict[str, int]
    problems: list[Problem]


@dataclass(frozen=True)
class _Task:
    source: Path
    kind: str
    frames: int
    target: Path
    packing: Packing


def pack(dataset: Dataset, out: Path, packing: Packing, progress: Progress) -> Packed:
    """Pack every clip that is not in quarantine; ids, labels and folds stay what they are."""
    dataset.require_media()
    with new_folder(out, keep_partial=True) as folder:
        _same_settings(folder / _SETTINGS, {"source": dataset.fingerprint, **asdict(packing)})
        media = folder / "media"
        media.mkdir(exist_ok=True)
        names = [f"{clip:07d}{SUFFIX[packing.codec]}" for clip in range(len(dataset))]
        wanted = np.flatnonzero(~dataset.quarantined).tolist()
        tasks = [_task(dataset, clip, media / names[clip], packing) for clip in wanted]
        probes = [Probe(fault=dataset.clips.quarantine[clip]) for clip in range(len(dataset))]
        counts: Counter[How] = Counter()
        with closing(map_tasks(_pack_clip, tasks)) as results:
            for done, (position, result) in enumerate(results, start=1):
                probes[wanted[position]], how = _CRASHED if isinstance(result, Crashed) else result
                counts[how] += 1
                progress(done, len(wanted))
        counts["left out"] += len(dataset) - len(wanted)
        clips = dataset.clips.replace(path=names, kind=Categories.of([KIND[packing.codec]] * len(dataset), KINDS))
        if (dataset.folder / TRUTH).exists():
            shutil.copyfile(dataset.folder / TRUTH, folder / TRUTH)
        made_by = f"pack of {dataset.name} with {packing}"
        replace(dataset, folder=folder, root="media", clips=with_probes(clips, probes), made_by=made_by).save()
    new = Dataset.load(out)
    return Packed(dataset=new, counts={str(how): count for how, count in counts.items()}, problems=problems(new.clips))


def _same_settings(path: Path, settings: dict[str, object]) -> None:
    """Go on only with what was begun; otherwise one dataset would hold clips of two kinds."""
    if not path.exists():
        write_atomically(path, json.dumps(settings, indent=1).encode())
        return
    begun = json.loads(path.read_text())
    if different := [
        f"{key} {begun.get(key)} then, {value} now" for key, value in settings.items() if begun.get(key) != value
    ]:
        raise DatasetError(
            f"'{path.parent}' holds an unfinished pack with other settings: {'; '.join(different)}."
            " Give the same settings to go on with it, or remove it to start anew."
        )


def _task(dataset: Dataset, clip: int, target: Path, packing: Packing) -> _Task:
    return _Task(
        dataset.path(clip), KINDS[dataset.clips.kind.codes[clip]], int(dataset.clips.frames[clip]), target, packing
    )


def _pack_clip(task: _Task) -> tuple[Probe, How]:
    """Write one clip; a clip that cannot be read is told, a file that cannot be written is raised."""
    packing = task.packing
    if task.target.exists() and (found := probe(str(task.target), KIND[packing.codec], "count")).fault is None:
        return found, "kept"
    numbers = spread(task.frames, packing.max_frames)
    try:
        content, how = _content(task, numbers)
    except MEDIA_ERRORS as error:
        return Probe(fault=reason(error)), "left out"
    write_atomically(task.target, content, durable=False)
    return Probe(frames=len(numbers), width=packing.size, height=packing.size, codec=packing.codec), how


def spread(frames: int, at_most: int) -> list[int]:
    """Choose frame numbers evenly over a clip: all of them, or the centres of `at_most` equal parts."""
    if frames <= at_most:
        return list(range(frames))
    return [(2 * part + 1) * frames // (2 * at_most) for part in range(at_most)]


def _content(task: _Task, numbers: list[int]) -> tuple[bytes, How]:
    packing = task.packing
    if task.kind == "video":
        frames = read_video(task.source, numbers)
    else:
        images = read_images(task.source, numbers)
        if packing.codec in JPEG_CODECS and _fit_as_they_are(images, packing.size):
            return join_jpegs(images, packing.codec, width=packing.size, height=packing.size), "copied"
        frames = [decode_image(image) for image in images]
    return encode_clip([_resize(frame, packing) for frame in frames], packing.codec), "encoded"


def _fit_as_they_are(images: list[bytes], size: int) -> bool:
    """Tell whether all are plain JPEG files of the wanted size and one chroma layout: they need no new encoding."""
    layouts = set()
    for content in images:
        with Image.open(io.BytesIO(content)) as image:
            if (
                image.format != "JPEG"
                or image.size != (size, size)
                or image.mode != "RGB"
                or "progressive" in image.info
            ):
                return False
            layouts.add(str(getattr(image, "layer", None)))
    return len(layouts) == 1


def _resize(frame: NDArray[np.uint8], packing: Packing) -> NDArray[np.uint8]:
    size = (packing.size, packing.size)
    if frame.shape[:2] == size:
        return frame
    image = Image.fromarray(frame)
    if packing.fit == "stretch":
        return np.asarray(image.resize(size, Image.Resampling.LANCZOS))
    fit = ImageOps.pad if packing.fit == "pad" else ImageOps.fit
    return np.asarray(fit(image, size, Image.Resampling.LANCZOS))
