"""The clips of `all`: SynthDFER, painted once into a cache folder, as JPEG frames and as videos."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.pack import Packing, pack
from sciu.pipeline.dataset.synth import Synth, generate
from sciu.tools.command import Progress

_VIDEO = "vp9"


@dataclass(frozen=True)
class Media:
    """Datasets of the same clips."""

    frames: Path
    videos: Path


def cache_folder() -> Path:
    """Return the folder that clips are kept in: of XDG_CACHE_HOME, else below ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sciu" / "bench"


def painted(cache: Path, recipe: Synth) -> Media:
    """Return the clips of a recipe; paint what is not there. A folder appears when all of it is written."""
    place = cache / hashlib.sha256(str(recipe).encode()).hexdigest()[:12]
    media = Media(place / "frames", place / "videos")
    place.mkdir(parents=True, exist_ok=True)
    if not media.frames.exists():
        generate(recipe, media.frames, Progress("clips painted"))
    if not media.videos.exists():
        packing = Packing(size=recipe.size, max_frames=recipe.frames, codec=_VIDEO)
        pack(Dataset.load(media.frames), media.videos, packing, Progress("clips encoded"))
    return media
