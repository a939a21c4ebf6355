"""Which clips DALI decodes and which FFmpeg does on the host: decided before training, and told with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import torch

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.feed import nvdec
from sciu.pipeline.feed.errors import FeedError

Refusal = Callable[[str, int, int], str | None]
"""Why DALI does not decode videos of a codec, width and height; None where it does."""

_CPU_CODECS = ("vp8", "vp9")
_JPEGS = "mjpeg"  # its frames are JPEG files, and decoded as such


def cpu_refusal(codec: str, _width: int, _height: int) -> str | None:
    """Tell what DALI's CPU decoder cannot decode."""
    return None if codec in (*_CPU_CODECS, _JPEGS) else f"DALI decodes no {codec} on a CPU"


def gpu_refusal(device: torch.device) -> Refusal:
    """Ask the GPU's video decoder, once."""
    if nvdec.library() is None:
        raise FeedError(
            f"{nvdec.LIBRARY} must be there to decode video on the GPU, but is not. In a container set"
            " NVIDIA_DRIVER_CAPABILITIES=all. `sciu-doctor` tells more."
        )
    torch.zeros(1, device=device)  # makes the context that the question needs
    known = {capability.codec: capability for capability in nvdec.capabilities()}
    return lambda codec, width, height: _nvdec_refusal(known, codec, width, height)


def _nvdec_refusal(known: dict[str, nvdec.Capability], codec: str, width: int, height: int) -> str | None:
    if codec == _JPEGS:
        return None
    if codec not in known or not known[codec].supported:
        return f"this GPU's NVDEC decodes no {codec}"
    (least_width, least_height), (most_width, most_height) = known[codec].min_size, known[codec].max_size
    if least_width <= width <= most_width and least_height <= height <= most_height:
        return None
    return f"this GPU's NVDEC takes {codec} from {least_width}x{least_height} to {most_width}x{most_height} only"


def reasons(dataset: Dataset, refusal: Refusal, where: str) -> list[str]:
    """Say in a line for each codec who decodes it, and why."""
    clips = dataset.clips
    usable = np.flatnonzero(~dataset.quarantined)
    videos = clips.kind.where("video")
    counts: Counter[tuple[str, str | None]] = Counter()
    for clip in usable.tolist():
        codec = clips.codec[clip] or "unknown codec"
        size = int(clips.width[clip]), int(clips.height[clip])
        counts[codec, refusal(codec, *size) if videos[clip] else None] += 1
    return [
        f"{count} {codec} clips: DALI, {where}"
        if why is None
        else f"{count} {codec} clips: FFmpeg on the host, because {why}. `sciu-data pack` makes them fast to decode."
        for (codec, why), count in sorted(counts.items(), key=str)
    ]
