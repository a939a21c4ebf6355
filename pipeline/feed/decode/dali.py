"""DALI pipelines as queues: encoded clips in, decoded frames out, in order; built once for all epochs.

A sample that DALI cannot decode breaks its pipeline permanently. Then a new one is built, the clips of that batch are
decoded one by one to find the bad one, and the later batches are put in again.

With one batch of prefetch, a pipeline accepts any number of `feed_input` and `schedule_run` before its first output
(measured with 2.4.0), and needs no handling of the end of an epoch.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from sciu.pipeline.errors import MEMORY_IS_FULL
from sciu.pipeline.feed.errors import FeedError
from sciu.pipeline.feed.files.clip_layout import Images, Video
from sciu.pipeline.feed.memory.lent import Lent
from sciu.pipeline.feed.pixels.render import Source, stacked

_MOST_SAMPLES = {"cpu": 1 << 16, "cuda": 1 << 9}
"""In one run of a pipeline. On a CPU unused samples cost nothing; nvJPEG allocates memory for all of them."""
_ON_ENGINES = 1.0  # all images that nvJPEG's engines accept: the decoder must not depend on the place in the batch
_BROKEN = (RuntimeError, ValueError, IndexError, StopIteration)  # raised by a broken pipeline

Clip = TypeVar("Clip", Images, Video)
Item = TypeVar("Item")


@dataclass(frozen=True)
class Refused:
    """Takes the place of a clip that DALI does not decode."""

    why: str


@dataclass
class _Entry(Generic[Clip]):
    """A batch in flight."""

    clips: Sequence[Clip]
    runs: int = 0  # of the pipeline, once all are scheduled


class Decoder(ABC, Generic[Clip]):
    """A queue of batches of clips."""

    def __init__(self, device: torch.device, threads: int) -> None:
        self._device = device
        self._threads = threads
        self._most = _MOST_SAMPLES[device.type]
        self._waiting: deque[_Entry[Clip]] = deque()
        self._pipeline = self._build()
        self._busy = False  # in the middle of a put or a take
        self._lent = Lent()
        self.rebuilt = 0

    def put(self, clips: Sequence[Clip]) -> None:
        """Start decoding a batch."""
        self._busy = True
        self._waiting.append(_Entry(clips))
        with suppress(*_BROKEN):  # this or an earlier batch is bad: `take` handles it
            self._start(self._waiting[-1])
        self._busy = False

    def take(self) -> list[Source | Refused]:
        """Return the frames of the batch that was put in first."""
        taken = self.take_as_it_is()
        _require_a_sound_machine(taken)
        return taken

    def take_as_it_is(self) -> list[Source | Refused]:
        """Return the frames without checking the machine, for a part of a batch: all of that may be bad clips."""
        self._busy = True
        entry = self._waiting.popleft()
        try:
            taken: list[Source | Refused] = list(self._outputs(entry))
        except _BROKEN:
            self._rebuild()
            taken = [self._alone(clip) for clip in entry.clips]
            for later in self._waiting:
                with suppress(*_BROKEN):
                    self._start(later)
        self._busy = False
        return taken

    def drain(self) -> None:
        """Discard what was put in and not taken, also after an interrupt, by building a new pipeline."""
        if (self._waiting or self._busy) and not sys.is_finalizing():
            self._waiting.clear()
            self._pipeline = self._build()
            self._busy = False

    def _start(self, entry: _Entry[Clip]) -> None:
        entry.runs = 0
        samples = self._samples(entry.clips)
        begins = range(0, len(next(iter(samples.values()))), self._most)
        for begin in begins:
            for name, values in samples.items():
                self._pipeline.feed_input(name, values[begin : begin + self._most])
            self._pipeline.schedule_run()
        entry.runs = len(begins)

    def _alone(self, clip: Clip) -> Source | Refused:
        entry = _Entry([clip])
        try:
            self._start(entry)
            return self._outputs(entry)[0]
        except _BROKEN as error:
            self._rebuild()
            return Refused(_reason(error))

    def _rebuild(self) -> None:
        self._pipeline = self._build()
        self.rebuilt += 1

    def _build(self) -> Any:
        from nvidia.dali import Pipeline

        on_gpu = self._device.type == "cuda"
        pipeline = Pipeline(
            batch_size=self._most, num_threads=self._threads, prefetch_queue_depth=1,
            device_id=(self._device.index or 0) if on_gpu else None,
        )  # fmt: skip
        with pipeline:
            pipeline.set_outputs(self._graph("mixed" if on_gpu else "cpu"))
        pipeline.build()
        return pipeline

    def _outputs(self, entry: _Entry[Clip]) -> list[Source]:
        if not entry.runs:
            raise RuntimeError("the batch could not be passed to DALI")
        stream = torch.cuda.current_stream(self._device) if self._device.type == "cuda" else None
        runs = [self._pipeline.outputs(cuda_stream=stream)[0] for _ in range(entry.runs)]
        sources = self._split(runs, entry.clips)
        if stream is not None:  # some are copies, which are only queued
            self._lent.hold(runs, stream.record_event())
        return sources

    @abstractmethod
    def _graph(self, device: str) -> Any:
        """Return the node that outputs the frames."""

    @abstractmethod
    def _samples(self, clips: Sequence[Clip]) -> dict[str, list[Any]]:
        """Return the pipeline's inputs for these clips by name: lists of equal length."""

    @abstractmethod
    def _split(self, runs: list[Any], clips: Sequence[Clip]) -> list[Source]:
        """Return the frames of each clip from the outputs of the pipeline's runs."""


class ImageDecoder(Decoder[Images]):
    """Decodes JPEG and PNG files, one sample per frame."""

    def _graph(self, device: str) -> Any:
        from nvidia.dali import fn, types

        engines: dict[str, Any] = {"hw_decoder_load": _ON_ENGINES} if device == "mixed" else {}
        return fn.decoders.image(_bytes_input(fn, types), device=device, **engines)

    def _samples(self, clips: Sequence[Images]) -> dict[str, list[Any]]:
        return {"files": [file for clip in clips for file in clip.files]}

    def _split(self, runs: list[Any], clips: Sequence[Images]) -> list[Source]:
        ends = np.cumsum([len(clip.files) for clip in clips]).tolist()
        assert sum(map(len, runs)) == ends[-1]
        spans = list(zip([0, *ends], ends, strict=False))
        if all(samples.is_dense_tensor() for samples in runs):
            blocks = [_tensor(samples.as_tensor()) for samples in runs]
            if len({block.shape[1:] for block in blocks}) == 1:
                frames = blocks[0] if len(blocks) == 1 else torch.cat(blocks)
                return [frames[begin:end] for begin, end in spans]
        pictures = [_tensor(sample) for samples in runs for sample in samples]
        return [stacked(pictures[begin:end]) for begin, end in spans]


class VideoDecoder(Decoder[Video]):
    """Decodes video files, one sample per clip, from the first frame to the last requested one."""

    def _graph(self, device: str) -> Any:
        from nvidia.dali import fn, types

        numbers = fn.external_source(name="numbers", dtype=types.INT32, ndim=1)
        return fn.decoders.video(_bytes_input(fn, types), frames=numbers, device=device)

    def _samples(self, clips: Sequence[Video]) -> dict[str, list[Any]]:
        return {"files": [clip.file for clip in clips], "numbers": [clip.numbers for clip in clips]}

    def _split(self, runs: list[Any], clips: Sequence[Video]) -> list[Source]:
        assert sum(map(len, runs)) == len(clips)
        return [_tensor(sample) for samples in runs for sample in samples]


class SharedVideoDecoder:
    """Several pipelines that share each batch, because one uses only one of a GPU's seven NVDEC engines."""

    def __init__(self, device: torch.device, threads: int, pipelines: int) -> None:
        share = max(1, threads // pipelines)
        self._decoders = [VideoDecoder(device, share) for _ in range(pipelines)]
        self._sizes: deque[int] = deque()  # of the batches in flight

    def put(self, clips: Sequence[Video]) -> None:
        """Start decoding a batch, divided among the pipelines."""
        self._sizes.append(len(clips))
        for decoder, part in zip(self._decoders, self._dealt(clips), strict=True):
            if part:
                decoder.put(part)

    def take(self) -> list[Source | Refused]:
        """Return the frames of the batch that was put in first."""
        places = self._dealt(range(self._sizes.popleft()))
        taken: dict[int, Source | Refused] = {}
        for decoder, part in zip(self._decoders, places, strict=True):
            if part:
                taken |= zip(part, decoder.take_as_it_is(), strict=True)
        in_order = [taken[place] for place in range(len(taken))]
        _require_a_sound_machine(in_order)
        return in_order

    def drain(self) -> None:
        """Discard the batches that were put in and not taken."""
        self._sizes.clear()
        for decoder in self._decoders:
            decoder.drain()

    def _dealt(self, clips: Sequence[Item]) -> list[Sequence[Item]]:
        return [clips[first :: len(self._decoders)] for first in range(len(self._decoders))]


def _bytes_input(fn: Any, types: Any) -> Any:
    """Return the input node; `no_copy` is safe because the queue keeps the arrays until their frames are taken."""
    return fn.external_source(name="files", dtype=types.UINT8, ndim=1, no_copy=True)


def _tensor(sample: Any) -> Tensor:
    """Return DALI's memory as a tensor, without a copy."""
    return torch.utils.dlpack.from_dlpack(sample)


def _require_a_sound_machine(taken: list[Source | Refused]) -> None:
    """Raise an error if memory ran out for every clip alone: for one clip of several, the clip is bad."""
    refused = [source.why for source in taken if isinstance(source, Refused)]
    of_machine = [why for why in refused if "cuda" in why.lower() or MEMORY_IS_FULL.search(why)]
    if 1 < len(taken) == len(of_machine):
        raise FeedError(f"DALI failed: {refused[0]}. Try a smaller --batch-size or --cache, or --decode cpu.")


def _reason(error: Exception) -> str:
    """Return the line of DALI's message that states the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    after = lines.index("encountered:") + 1 if "encountered:" in lines else 0
    return lines[min(after, len(lines) - 1)].rstrip(".") if lines else type(error).__name__
