"""Rewrite a dataset into one size and codec, one file per clip, for fast decoding. The source is only read.

The work is done in `<out>.partial`, which is renamed to `out` at the end. After any interruption, run it again to
continue: finished clips are kept, and other settings are refused.
"""

from __future__ import annotations

import io
import json
import shutil
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sciu.pipeline.dataset.check import Problem, Progress, problems, with_probes
from sciu.pipeline.dataset.dataset import TRUTH, Dataset
from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.media.encode import CODECS, JPEG_CODECS, KIND, SUFFIX, encode_clip, join_jpegs
from sciu.pipeline.dataset.media.probe import MEDIA_ERRORS, MISSING, Probe, is_outage, probe, reason
from sciu.pipeline.dataset.media.read import decode_image, read_images, read_video
from sciu.pipeline.dataset.system.files import new_folder, write_atomically
from sciu.pipeline.dataset.system.workers import Crashed, map_tasks
from sciu.pipeline.dataset.table import KINDS, Categories
from sciu.pipeline.errors import require

FITS = ("pad", "crop", "stretch")
_SETTINGS = "pack.json"
_ORIENTATION = 0x112  # the EXIF tag

How = Literal["copied", "encoded", "kept", "failed"]
"""JPEG files copied unchanged; frames encoded; kept from an earlier run; unreadable."""


_CRASHED: tuple[Probe, How] = (Probe(fault="crashes the decoder"), "failed")


@dataclass(frozen=True, kw_only=True)
class Packing:
    """The settings of `pack`."""

    size: int = 128
    max_frames: int = 48
    codec: str = "mjpeg"
    fit: str = "pad"

    def __post_init__(self) -> None:
        require(16 <= self.size <= 4096 and self.size % 2 == 0, "--size", "an even number from 16 to 4096", self.size)
        require(1 <= self.max_frames <= 65535, "--max-frames", "1 to 65535", self.max_frames)  # a plain zip's limit
        require(self.codec in CODECS, "--codec", f"one of {list(CODECS)}", self.codec)
        require(self.fit in FITS, "--fit", f"one of {list(FITS)}", self.fit)


@dataclass(frozen=True, kw_only=True)
class Packed:
    """The new dataset, the number of clips by outcome, and the clips that could not be packed."""

    dataset: Dataset
    counts: dict[How, int]
    problems: list[Problem]


@dataclass(frozen=True)
class _Task:
    source: Path
    kind: str
    frames: int
    target: Path
    packing: Packing


def pack(dataset: Dataset, out: Path, packing: Packing, progress: Progress) -> Packed:
    """Pack every clip that is not in quarantine; ids, labels and folds stay the same."""
    dataset.require_media()
    with new_folder(out, maker="pack", keep_partial=True) as folder:
        _same_settings(
            folder / _SETTINGS, {"source": dataset.fingerprint, "media": str(dataset.media), **asdict(packing)}
        )
        media = folder / "media"
        media.mkdir(exist_ok=True)
        names = [f"{clip:07d}{SUFFIX[packing.codec]}" for clip in range(len(dataset))]
        wanted = np.flatnonzero(~dataset.quarantined).tolist()
        tasks = [_task(dataset, clip, media / names[clip], packing) for clip in wanted]
        probes = [Probe(fault=dataset.clips.quarantine[clip]) for clip in range(len(dataset))]
        counts: dict[How, int] = {"copied": 0, "encoded": 0, "kept": 0, "failed": 0}
        with closing(map_tasks(_pack_clip, tasks)) as results:
            for done, (position, result) in enumerate(results, start=1):
                probes[wanted[position]], how = _CRASHED if isinstance(result, Crashed) else result
                counts[how] += 1
                progress(done, len(wanted))
        _refuse_missing(dataset, [clip for clip in wanted if probes[clip].fault == MISSING])
        clips = dataset.clips.replace(path=names, kind=Categories.of([KIND[packing.codec]] * len(dataset), KINDS))
        if (dataset.folder / TRUTH).exists():
            shutil.copyfile(dataset.folder / TRUTH, folder / TRUTH)
        made_by = f"pack of {dataset.name} with {packing}"
        replace(dataset, folder=folder, root="media", clips=with_probes(clips, probes), made_by=made_by).save()
    new = Dataset.load(out)
    return Packed(dataset=new, counts=counts, problems=problems(new.clips))


def _same_settings(path: Path, settings: dict[str, object]) -> None:
    """Refuse to continue a pack with other settings, which would mix two kinds of clips in one dataset."""
    if not path.exists():
        write_atomically(path, json.dumps(settings, indent=1).encode())
        return
    try:
        saved = dict(json.loads(path.read_text()))
    except (ValueError, TypeError, RecursionError):
        raise DatasetError(f"'{path}' is damaged. Remove '{path.parent}' to start again.") from None
    if different := [
        f"{key} {saved.get(key)} then, {value} now" for key, value in settings.items() if saved.get(key) != value
    ]:
        raise DatasetError(
            f"'{path.parent}' holds an unfinished pack with other settings: {'; '.join(different)}."
            " Give the same settings to continue, or remove it to start again."
        )


def _refuse_missing(dataset: Dataset, missing: list[int]) -> None:
    """Raise an error if clips are missing, and keep what was packed: a disk may come back."""
    if missing:
        raise DatasetError(
            f"{len(missing)} clips of dataset '{dataset.name}' are missing from '{dataset.media}' (the first:"
            f" '{dataset.clips.path[missing[0]]}'). The others are packed. Restore the missing clips, or let"
            " `sciu-data check` quarantine them, then run the command again."
        )


def _task(dataset: Dataset, clip: int, target: Path, packing: Packing) -> _Task:
    return _Task(dataset.path(clip), dataset.kind_of(clip), int(dataset.clips.frames[clip]), target, packing)


def _pack_clip(task: _Task) -> tuple[Probe, How]:
    """Write one clip. Return a fault if the clip is unreadable; raise an error if a disk is missing or full."""
    packing = task.packing
    if _is_newer(task.target, task.source):
        found = probe(str(task.target), KIND[packing.codec], "count")
        if found.fault is None:
            return found, "kept"
    numbers = evenly(task.frames, packing.max_frames)
    try:
        how = _write_clip(task, numbers)
    except FileNotFoundError:
        return Probe(fault=MISSING), "failed"
    except MEDIA_ERRORS as error:
        if is_outage(error) or isinstance(error, _WriteError):
            raise
        return Probe(fault=reason(error)), "failed"
    return Probe(frames=len(numbers), width=packing.size, height=packing.size, codec=packing.codec), how


def _is_newer(target: Path, source: Path) -> bool:
    """Return whether a packed clip was written after the last change to any file of its source."""
    if not target.exists() or not source.exists():
        return False
    files = [source, *source.iterdir()] if source.is_dir() else [source]
    states = [file.stat() for file in files]
    return target.stat().st_mtime_ns > max(max(state.st_mtime_ns, state.st_ctime_ns) for state in states)


def evenly(frames: int, at_most: int) -> list[int]:
    """Return evenly spaced frame numbers of a clip: all of them, or the centres of `at_most` equal parts."""
    if frames <= at_most:
        return list(range(frames))
    return [(2 * part + 1) * frames // (2 * at_most) for part in range(at_most)]


def _write_clip(task: _Task, numbers: list[int]) -> How:
    packing = task.packing
    if not numbers:
        raise DatasetError("has zero frames")
    if task.kind == "video":
        frames = read_video(task.source, numbers, lambda frame: _resize(frame, packing))
    else:
        images = read_images(task.source, numbers)
        if packing.codec in JPEG_CODECS and _fit_as_they_are(images, packing.size):
            _write(task, join_jpegs(images, packing.codec, width=packing.size, height=packing.size))
            if probe(str(task.target), KIND[packing.codec], "decode").fault is None:
                return "copied"  # else encode them: FFmpeg is stricter than Pillow about JPEG files
        frames = [_resize(decode_image(image), packing) for image in images]
    _write(task, encode_clip(frames, packing.codec))
    return "encoded"


def _write(task: _Task, content: bytes) -> None:
    try:
        write_atomically(task.target, content, durable=False)
    except OSError as error:
        raise _WriteError(error.errno, error.strerror, str(task.target)) from error


class _WriteError(OSError):
    """The output cannot be written; the clip is not at fault."""


def _fit_as_they_are(images: list[bytes], size: int) -> bool:
    """Return whether all are plain JPEG files of the given size, upright and of one chroma layout."""
    layouts = set()
    for content in images:
        with Image.open(io.BytesIO(content)) as image:
            plain = image.format == "JPEG" and image.mode == "RGB" and "progressive" not in image.info
            upright = image.getexif().get(_ORIENTATION, 1) == 1
            if not (plain and upright and image.size == (size, size)):
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
