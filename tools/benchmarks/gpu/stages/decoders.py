"""`decoders`: DALI's decoders alone, without the rest of the feed."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.system.cores import cores
from sciu.pipeline.feed.decode.dali import ImageDecoder, Refused, SharedVideoDecoder
from sciu.pipeline.feed.files.clip_files import ClipFiles
from sciu.pipeline.feed.files.routes import cpu_refusal, gpu_refusal
from sciu.tools.benchmarks.gpu.bench import Bench, NotHereError, Row
from sciu.tools.benchmarks.gpu.clock import clocked
from sciu.tools.benchmarks.gpu.stages.media import VIDEOS

_AHEAD = 2  # batches
_BATCHES = 12
_PIPELINES = {"h264": (1, 2, 4)}


def decoders(bench: Bench) -> None:
    """Decode JPEG on the CPU and on the GPU, then videos."""
    bench.measure("jpeg on the CPU", partial(_images, bench, on_gpu=False))
    bench.measure("jpeg on the GPU", partial(_images, bench, on_gpu=True))
    for codec in VIDEOS:
        for pipelines in _PIPELINES.get(codec, (1,)):
            bench.measure(f"{codec}, {pipelines} pipelines", partial(_videos, bench, codec, pipelines))


def _images(bench: Bench, *, on_gpu: bool) -> Row:
    if on_gpu:
        bench.require_gpu("nvJPEG")
    device = bench.device if on_gpu else torch.device("cpu")
    return _rate(bench, ImageDecoder(device, cores()), bench.dataset("jpeg"))


def _videos(bench: Bench, codec: str, pipelines: int) -> Row:
    dataset = bench.dataset(codec)
    refusal = gpu_refusal(bench.device) if bench.on_gpu else cpu_refusal
    if why := refusal(codec, int(dataset.clips.width[0]), int(dataset.clips.height[0])):
        raise NotHereError(why)
    return _rate(bench, SharedVideoDecoder(bench.device, cores(), pipelines), dataset)


def _rate(bench: Bench, decoder: Any, dataset: Dataset) -> Row:
    """Decode all batches, then again until the time is up."""
    batches = _encoded(bench, dataset)
    first = clocked(partial(_decode, decoder, batches), bench.device)
    seconds: list[float] = []
    while sum(seconds) < bench.sizes.seconds or not seconds:
        seconds.append(clocked(partial(_decode, decoder, batches), bench.device))
    clips = sum(map(len, batches)) / min(seconds)
    return {"clips_per_second": clips, "frames_per_second": clips * bench.sizes.frames, "first_seconds": first}


def _encoded(bench: Bench, dataset: Dataset) -> list[list[Any]]:
    """Read some batches of clips, the wanted frames spread over each; few clips come several times."""
    files = ClipFiles(dataset, lambda _codec, _width, _height: None)
    numbers = np.linspace(0, bench.sizes.stored - 1, bench.sizes.frames).astype(np.int32)
    size = bench.sizes.batches[0]
    clips = range(min(len(dataset), _BATCHES * size) // size * size)
    read = [files.read(clip, numbers)[0] for clip in clips]
    batches = [read[begin : begin + size] for begin in range(0, len(read), size)]
    return (batches * _BATCHES)[:_BATCHES]


def _decode(decoder: Any, batches: list[list[Any]]) -> None:
    """Put batches in, a few ahead of those taken out."""
    waiting = 0
    for batch in batches:
        decoder.put(batch)
        waiting += 1
        if waiting > _AHEAD:
            _take(decoder)
            waiting -= 1
    for _ in range(waiting):
        _take(decoder)


def _take(decoder: Any) -> None:
    refused = [source.why for source in decoder.take() if isinstance(source, Refused)]
    if refused:
        raise RuntimeError(f"DALI refuses {len(refused)} clips: {refused[0]}")
