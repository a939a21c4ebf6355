"""`--pipeline dali`: files read by threads, decoded by DALI or FFmpeg, kept in the cache, rendered as planned.

On a GPU everything except the kernel runs on the feed's own stream, in parallel with the training.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciu.pipeline.dataset.system.cores import cores
from sciu.pipeline.errors import require
from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.feed.decode.dali import ImageDecoder, Refused, SharedVideoDecoder, VideoDecoder
from sciu.pipeline.feed.decode.faults import FAULTS, Fault, fault
from sciu.pipeline.feed.decode.host import HostDecoder
from sciu.pipeline.feed.feed import Feed, ahead
from sciu.pipeline.feed.files.clip_files import ClipFiles, OnHost
from sciu.pipeline.feed.files.clip_layout import Images, Video
from sciu.pipeline.feed.files.routes import Routes, choose_routes
from sciu.pipeline.feed.memory.buffers import keep_freed_memory
from sciu.pipeline.feed.memory.cache import Cache
from sciu.pipeline.feed.pixels.gpu_render import GpuRenderer
from sciu.pipeline.feed.pixels.render import HostRenderer, Source
from sciu.pipeline.feed.pixels.threads import InThreads, in_threads
from sciu.pipeline.feed.plan.plan import Plan, Samples
from sciu.pipeline.feed.plan.sampling import distinct

_READ_AHEAD = 2  # batches
_DECODE_AHEAD = 2
_RENDER_AHEAD = 1
_READERS_A_CORE = 2
_VIDEO_PIPELINES = 4  # on a GPU
_MOST_READERS_BESIDE_A_GPU = 16  # 4 to 32 made no difference on 16 cores

Encoded = Images | Video | OnHost | Fault
Decoded = Source | Refused | Fault


@dataclass(frozen=True, eq=False)
class _Job:
    """A clip in flight."""

    clip: int
    numbers: NDArray[np.int32]  # frames to decode, ascending, each once
    picks: NDArray[np.int64]  # which of those the plan takes
    for_cache: bool = False  # all frames are decoded
    cached: Tensor | None = None


@dataclass(frozen=True, eq=False)
class _Batch:
    """A batch in flight, once all of it is read."""

    samples: Samples
    jobs: list[_Job]
    encoded: list[Encoded | None]

    def has(self, kind: type) -> bool:
        """Return whether the batch has clips for a decoder of this kind."""
        return any(isinstance(content, kind) for content in self.encoded)


@dataclass(kw_only=True)
class DaliFeed(Feed):
    """Decodes with DALI, or with FFmpeg what DALI cannot decode here."""

    cache: Cache = field(default_factory=lambda: Cache(0))
    threads: int = 0  # 0: one per core
    decode: str = "auto"  # on a GPU machine: auto, cpu or gpu

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.threads >= 0, "threads", "at least 0", self.threads)
        threads = self.threads or cores()
        routes = choose_routes(self.dataset, self.device, self.decode, threads)
        self.reasons = routes.reasons
        self._files = ClipFiles(self.dataset, routes.refusal, for_nvdec=routes.videos.type == "cuda")
        readers = _READERS_A_CORE * threads
        self._reader_count = min(readers, _MOST_READERS_BESIDE_A_GPU) if self.device.type == "cuda" else readers
        self._readers = ThreadPoolExecutor(self._reader_count, "sciu-read")
        self._host = HostDecoder(self._files, threads)
        self._decoders: dict[type, Any] = {  # each takes clips of its kind
            Images: ImageDecoder(routes.pictures, threads),
            Video: _video_decoder(routes, threads),
            OnHost: self._host,
        }
        keep_freed_memory()
        self._gpu = GpuRenderer(self.device, threads) if self.device.type == "cuda" else None
        if self._gpu is not None:
            self.reasons.append(self._gpu.reason)
        else:
            self._renderer = HostRenderer(threads)
        self._trained_on: NDArray[np.int64] = np.array([], np.int64)
        self._reading: list[InThreads[tuple[Encoded, int]]] = []
        if self.cache.device == "cuda":
            self.cache.device = str(self.device)

    def close(self) -> None:
        """End the threads and release the clips."""
        super().close()
        self._readers.shutdown(wait=True, cancel_futures=True)
        self._host.close()
        (self._gpu or self._renderer).close()
        self._decoders.clear()
        self.cache.clear()

    @property
    def on_host(self) -> dict[int, str]:
        """Clips that FFmpeg decodes on the host, and why; known after their first read."""
        return self._files.on_host

    def _batches(self, plan: Plan, start: int) -> Iterator[ClipBatch]:
        if self._gpu is not None:
            self._gpu.catch_up()
        self._evict(plan)
        reading = ahead((self._read(plan.step(number)) for number in range(start, plan.steps)), _READ_AHEAD)
        decoding = ahead((self._decode(*batch) for batch in reading), _DECODE_AHEAD)
        taking = (self._take(batch, plan) for batch in decoding)
        if self._gpu is not None:
            yield from (self._gpu.render(*batch, plan.size, self._into) for batch in taking)
            return
        rendering = ahead((self._renderer.start(*batch, plan.size) for batch in taking), _RENDER_AHEAD)
        for batch, work in rendering:
            with self.tally.waiting("rendering"):
                work.results()
            yield batch

    def _stop(self) -> None:
        for reading in self._reading:
            reading.cancel()
        self._reading.clear()
        for decoder in self._decoders.values():
            decoder.drain()
        self.cache.break_promises()

    def _evict(self, plan: Plan) -> None:
        """Remove clips from the cache that were trained on before and are not any more."""
        if plan.training:
            self._trained_on = np.union1d(self._trained_on, plan.ids)
            for clip in np.setdiff1d(self._trained_on, plan.ids).tolist():
                self.cache.evict(clip)

    # ---- three stages, in order

    def _read(self, samples: Samples) -> tuple[Samples, list[_Job], InThreads[tuple[Encoded, int]]]:
        """Start reading the clips that are not in the cache."""
        samples = self._good(samples)
        with self._own_stream():  # this stream is the first to write to memory of the cache
            jobs = [self._job(clip, samples.numbers[row]) for row, clip in enumerate(samples.ids.tolist())]
        missing = [job for job in jobs if job.cached is None]
        reading = in_threads(
            self._readers, self._reader_count, lambda place: self._read_clip(missing[place]), len(missing)
        )
        self._reading.append(reading)
        return samples, jobs, reading

    def _decode(self, samples: Samples, jobs: list[_Job], reading: InThreads[tuple[Encoded, int]]) -> _Batch:
        """Start decoding the clips that were read."""
        encoded: list[Encoded | None] = []
        with self.tally.waiting("reading"):
            read = iter(reading.results())
        for job in jobs:
            content, opened = (None, 0) if job.cached is not None else next(read)
            encoded.append(content)
            self.tally.files += opened
        self._reading.remove(reading)
        for kind, decoder in self._decoders.items():
            if clips := [content for content in encoded if isinstance(content, kind)]:
                decoder.put(clips)
        return _Batch(samples, jobs, encoded)

    def _take(self, batch: _Batch, plan: Plan) -> tuple[list[Source], list[NDArray[np.int64]], Samples]:
        """Return the frames with their picks and samples, and keep those that the cache has room for."""
        with self._own_stream():
            with self.tally.waiting("decoding"):
                rows, sources = self._found(batch, plan)
            jobs = [batch.jobs[row] for row in rows]
            picks = [job.picks for job in jobs]
            if not self.cache.on_gpu:
                self._keep(jobs, sources)
            if self._gpu is not None:
                whole = [job.for_cache and self.cache.on_gpu for job in jobs]
                with self.tally.waiting("rendering"):
                    sources, picks = self._gpu.bring(sources, picks, whole)
            if self.cache.on_gpu:
                self._keep(jobs, sources)
        return sources, picks, batch.samples[np.array(rows, np.int64)]

    def _found(self, batch: _Batch, plan: Plan) -> tuple[list[int], list[Source]]:
        """Return the rows of the batch's good clips, and their frames."""
        decoded: dict[type, Iterator[Decoded]] = {
            kind: iter(self._decoders[kind].take()) for kind in self._decoders if batch.has(kind)
        }
        rows, sources = [], []
        for row, (job, content) in enumerate(zip(batch.jobs, batch.encoded, strict=True)):
            found = job.cached if content is None else self._frames(job, content, decoded)
            if isinstance(found, Fault):
                self._lose(found, plan)
                continue
            assert found is not None
            rows.append(row)
            sources.append(found)
            self._count(job)
        return rows, sources

    def _own_stream(self) -> AbstractContextManager[Any]:
        return nullcontext() if self._gpu is None else torch.cuda.stream(self._gpu.stream)

    # ---- one clip

    def _job(self, clip: int, numbers: NDArray[np.int32]) -> _Job:
        """Choose the frames to decode: those of the plan, or all if the cache has room for the clip."""
        if (cached := self.cache.get(clip)) is not None:
            return _Job(clip, numbers, numbers.astype(np.int64), cached=cached)
        table = self.dataset.clips
        frames = int(table.frames[clip])
        if self.cache.promise(clip, frames * int(table.width[clip]) * int(table.height[clip]) * 3):
            return _Job(clip, np.arange(frames, dtype=np.int32), numbers.astype(np.int64), for_cache=True)
        return _Job(clip, *distinct(numbers))

    def _read_clip(self, job: _Job) -> tuple[Encoded, int]:
        try:
            return self._files.read(job.clip, job.numbers)
        except FAULTS as error:
            return fault(job.clip, self.dataset, error), 1

    def _frames(self, job: _Job, content: Encoded, decoded: dict[type, Iterator[Decoded]]) -> Source | Fault:
        """Return a clip's frames; the host decodes it if DALI fails or returns unexpected frames."""
        source = content if isinstance(content, Fault) else next(decoded[type(content)])
        if isinstance(source, Fault):
            return source
        if isinstance(content, OnHost):
            self.tally.on_host += 1
            return cast(Source, source)
        why = source.why if isinstance(source, Refused) else self._oddity(job, source)
        if why is None:
            return cast(Source, source)
        self.tally.on_host += 1
        self._files.leave_to_host(job.clip, why)
        return self._host.decode(OnHost(job.clip, job.numbers))

    def _oddity(self, job: _Job, source: Source) -> str | None:
        """Return why a decoded video is wrong, or None if its frames match the table in number and size."""
        table = self.dataset.clips
        promised = len(job.numbers), int(table.height[job.clip]), int(table.width[job.clip])
        found = len(source), *source[0].shape[:2]
        if self.dataset.kind_of(job.clip) == "frames" or found == promised:
            return None
        return "DALI decodes {} frames of {}x{}".format(*found) + ", not {} of {}x{}".format(*promised)

    def _count(self, job: _Job) -> None:
        if job.cached is not None:
            self.tally.cached += 1
            return
        self.tally.decoded += 1
        self.tally.frames += len(job.numbers)

    def _keep(self, jobs: list[_Job], sources: list[Source]) -> None:
        for job, source in zip(jobs, sources, strict=True):
            if job.for_cache and isinstance(source, Tensor):
                self.cache.keep(job.clip, source)


def _video_decoder(routes: Routes, threads: int) -> VideoDecoder | SharedVideoDecoder:
    if routes.videos.type == "cpu":
        return VideoDecoder(routes.videos, threads)
    return SharedVideoDecoder(routes.videos, threads, _VIDEO_PIPELINES)
