"""Chooses before training which clips DALI decodes and which FFmpeg on the host, with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.errors import require
from sciu.pipeline.feed.files import DECODES, nvdec

Refusal = Callable[[str, int, int], str | None]
"""Returns why DALI does not decode videos of a codec, width and height, or None if it does."""

_CPU_CODECS = ("vp8", "vp9")
_JPEGS = "mjpeg"  # its frames are decoded as JPEG files
_PICTURES = (_JPEGS, "jpeg", "png")
_CPU = torch.device("cpu")
_WITH_JPEG_ENGINES = ((8, 0), (9, 0), (10, 0))  # compute capabilities of A100 and A30, H100 and H200, B200


def cpu_refusal(codec: str, _width: int, _height: int) -> str | None:
    """Return why DALI's CPU decoder does not decode a codec."""
    return None if codec in (*_CPU_CODECS, _JPEGS) else f"DALI does not decode {codec} on a CPU"


def gpu_refusal(device: torch.device) -> Refusal:
    """Query the GPU's video decoder once and return its refusals."""
    with torch.cuda.device(device):
        torch.zeros(1, device=device)  # creates the context that the query needs
        known = {capability.codec: capability for capability in nvdec.capabilities()}
    return lambda codec, width, height: _nvdec_refusal(known, codec, width, height)


def _nvdec_refusal(known: dict[str, nvdec.Capability], codec: str, width: int, height: int) -> str | None:
    if codec == _JPEGS:
        return None
    if codec not in known or not known[codec].supported:
        return f"this GPU's NVDEC does not decode {codec}"
    (least_width, least_height), (most_width, most_height) = known[codec].min_size, known[codec].max_size
    if least_width <= width <= most_width and least_height <= height <= most_height:
        return None
    return f"this GPU's NVDEC decodes {codec} only from {least_width}x{least_height} to {most_width}x{most_height}"


@dataclass(frozen=True, kw_only=True)
class Routes:
    """Where DALI decodes images and videos, which videos it refuses there, and the reasons."""

    pictures: torch.device
    videos: torch.device
    refusal: Refusal
    reasons: list[str]


def choose_routes(dataset: Dataset, device: torch.device, decode: str, threads: int) -> Routes:
    """Choose where to decode when training on a device."""
    require(decode in DECODES, "decode", f"one of {', '.join(DECODES)}", repr(decode))
    require(decode != "gpu" or device.type == "cuda", "decode", "auto or cpu without a GPU", decode)
    pictures, pictures_how = _for_pictures(device, decode, threads)
    videos, videos_how = _for_videos(device, decode, threads)
    refusal = gpu_refusal(device) if videos.type == "cuda" else cpu_refusal
    lines = reasons(dataset, refusal, pictures_how, videos_how)
    return Routes(pictures=pictures, videos=videos, refusal=refusal, reasons=lines)


def _for_pictures(device: torch.device, decode: str, threads: int) -> tuple[torch.device, str]:
    if device.type == "cpu" or decode == "cpu":
        return _CPU, f"{threads} threads{', as requested' if decode == 'cpu' else ', no GPU'}"
    if decode == "gpu":
        return device, f"nvJPEG on {device}, as requested"
    if torch.cuda.get_device_capability(device) in _WITH_JPEG_ENGINES:
        return device, f"nvJPEG on {device}, which has JPEG engines"
    return _CPU, f"{threads} threads, because {device} has no JPEG engines; `--decode gpu` uses nvJPEG nevertheless"


def _for_videos(device: torch.device, decode: str, threads: int) -> tuple[torch.device, str]:
    if device.type == "cpu" or decode == "cpu":
        return _CPU, f"{threads} threads{', as requested' if decode == 'cpu' else ', no GPU'}"
    if nvdec.library() is not None:
        return device, f"NVDEC on {device}"
    remedy = "In a container set NVIDIA_DRIVER_CAPABILITIES=all"
    return _CPU, f"{threads} threads, because {nvdec.LIBRARY} is missing. {remedy}; `sciu-doctor` shows more"


def reasons(dataset: Dataset, refusal: Refusal, pictures: str, videos: str) -> list[str]:
    """Return a line for each codec: its decoder, and why."""
    clips = dataset.clips
    usable = np.flatnonzero(~dataset.quarantined)
    is_video = clips.kind.where("video")
    counts: Counter[tuple[str, str | None]] = Counter()
    for clip in usable.tolist():
        codec = clips.codec[clip] or "unknown codec"
        size = int(clips.width[clip]), int(clips.height[clip])
        counts[codec, refusal(codec, *size) if is_video[clip] else None] += 1
    return [
        f"{count} {codec} clips: DALI, {pictures if codec in _PICTURES else videos}"
        if why is None
        else f"{count} {codec} clips: FFmpeg on the host, because {why}. `sciu-data pack` makes them fast to decode."
        for (codec, why), count in sorted(counts.items(), key=str)
    ]
