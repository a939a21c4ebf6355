"""Animated previews of clips: WebP files of a few small frames, as many as a budget of bytes allows."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.media.probe import MEDIA_ERRORS
from sciu.pipeline.dataset.media.read import read_frames
from sciu.pipeline.dataset.system.workers import Crashed, map_tasks
from sciu.tools.report.choosing import within
from sciu.tools.report.records import RunRecord

_SIZE, _FRAMES = 64, 8  # pixels of the longer side; 4 to 8 kB in all
_FRAME_TIME = 120  # milliseconds
_QUALITY = 55

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Media:
    """Where the frames of a clip are; all that a worker needs to know."""

    path: Path
    kind: str
    frames: int


def with_previews(run: RunRecord, dataset: Dataset | None, most: int, budget: int, progress: Progress) -> RunRecord:
    """Add previews to the clips of a run, at most so many and so many bytes; what cannot be read gets none."""
    clips = run.decisions.clips
    media = [] if dataset is None else [_media(dataset, clip.row.clip) for clip in clips[:most]]
    made = _made(media, progress)
    fitting = within(budget, (len(preview or b"") for preview in made))
    made = [*made[:fitting], *[None] * (len(clips) - fitting)]
    seen = [replace(clip, preview=preview) for clip, preview in zip(clips, made, strict=True)]
    return replace(run, decisions=replace(run.decisions, clips=seen))


def _media(dataset: Dataset, clip: int) -> Media:
    return Media(dataset.path(clip), dataset.kind_of(clip), int(dataset.clips.frames[clip]))


def _made(media: Sequence[Media], progress: Progress) -> list[bytes | None]:
    """Draw on all cores; a decoder that crashes costs one preview."""
    made: list[bytes | None] = [None] * len(media)
    with closing(map_tasks(preview, media)) as results:
        for done, (position, drawn) in enumerate(results, start=1):
            made[position] = None if isinstance(drawn, Crashed) else drawn
            progress(done, len(media))
    return made


def preview(media: Media) -> bytes | None:
    """Return an animated WebP file of a clip, None if it cannot be read."""
    numbers = np.unique(np.linspace(0, media.frames - 1, _FRAMES).astype(int)).tolist() if media.frames else []
    try:
        frames = [Image.fromarray(frame) for frame in read_frames(media.path, media.kind, numbers)]
    except MEDIA_ERRORS:
        return None
    return _animated(frames) if frames else None


def _animated(frames: Sequence[Image.Image]) -> bytes:
    for frame in frames:
        frame.thumbnail((_SIZE, _SIZE))
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "WEBP", save_all=True, append_images=frames[1:], duration=_FRAME_TIME, loop=0, quality=_QUALITY
    )
    return buffer.getvalue()
