"""The limit of reading: the codec's library alone, at its fastest, in as many processes as there are cores.

The encoded clips are in memory, and nothing is read, converted, cropped or handed over. JPEG: libjpeg-turbo by
simplejpeg with its fast transforms, into one buffer. A loop in C around the same library takes as long: a frame of
112 px takes 80 us, the call from Python less than 1. Video: FFmpeg's decoder by PyAV, from demuxed packets, up to the
last wanted frame; the `ffmpeg` program takes as long for the same clips.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any

import numpy as np

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.media.read import read_images
from sciu.pipeline.dataset.system.cores import cores
from sciu.pipeline.feed.plan.plan import Plan

_MOST = 256  # clips in memory; others are as fast

Numbers = list[int]
Decode = Callable[[Numbers], None]


class CodecAlone:
    """Processes that decode the planned frames of some clips and discard them."""

    def __init__(self, dataset: Dataset) -> None:
        ids = dataset.ids("train")
        self._shares = [ids[:_MOST][number :: cores()].tolist() for number in range(cores())]
        self._workers = [
            ProcessPoolExecutor(1, get_context("forkserver"), _prepare, (dataset, share)) for share in self._shares
        ]
        for worker in self._workers:
            worker.submit(_decode, {}).result()

    def run(self, plan: Plan) -> int:
        """Decode what a plan wants of the clips; return their number."""
        wanted = dict(zip(plan.samples.ids.tolist(), plan.samples.numbers, strict=True))
        parts = [{clip: np.unique(wanted[clip]).tolist() for clip in share if clip in wanted} for share in self._shares]
        ends = [worker.submit(_decode, part) for worker, part in zip(self._workers, parts, strict=True)]
        return sum(end.result() for end in ends)

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.shutdown()


def library(dataset: Dataset) -> str:
    """Return the name of the library that decodes a dataset's clips."""
    return "libjpeg-turbo" if _is_jpeg(dataset) else "FFmpeg"


def missing(dataset: Dataset) -> list[str]:
    """Return why the limit cannot be measured."""
    if _is_jpeg(dataset):
        return [] if find_spec("simplejpeg") else ["libjpeg-turbo alone (pip install simplejpeg)"]
    return [] if dataset.kind == "video" else ["the codec alone (the clips have several)"]


def _is_jpeg(dataset: Dataset) -> bool:
    return {*dataset.clips.codec.names} in ({"jpeg"}, {"mjpeg"})


_clips: dict[int, Decode] = {}


def _prepare(dataset: Dataset, clips: list[int]) -> None:
    for clip in clips:
        if dataset.kind == "frames":
            images = read_images(dataset.path(clip), range(int(dataset.clips.frames[clip])))
            _clips[clip] = partial(_decode_images, images)
        else:
            _clips[clip] = _opened(dataset.path(clip).read_bytes(), is_jpeg=_is_jpeg(dataset))


def _opened(video: bytes, *, is_jpeg: bool) -> Decode:
    import av

    container = av.open(io.BytesIO(video), "r")
    stream = container.streams.video[0]
    stream.thread_type = "NONE"
    packets = [packet for packet in container.demux(stream) if packet.size]
    if is_jpeg:
        return partial(_decode_images, [bytes(packet) for packet in packets])
    return partial(_decode_video, stream.codec_context, packets)


def _decode(wanted: dict[int, Numbers]) -> int:
    for clip, numbers in wanted.items():
        _clips[clip](numbers)
    return len(wanted)


def _decode_images(images: list[bytes], numbers: Numbers) -> None:
    import simplejpeg

    height, width, _, _ = simplejpeg.decode_jpeg_header(images[0])
    pixels = np.empty((height, width, 3), np.uint8)
    for number in numbers:
        simplejpeg.decode_jpeg(images[number], fastdct=True, fastupsample=True, buffer=pixels)


def _decode_video(decoder: Any, packets: list[Any], numbers: Numbers) -> None:
    """Decode until the last of the frames has come out."""
    frames = numbers[-1] + 1
    for packet in packets:
        frames -= len(decoder.decode(packet))
        if frames <= 0:
            break
    else:
        decoder.decode(None)  # those that wait for later ones
    decoder.flush_buffers()
