"""Frames -> the pixels of a plan, on a GPU: frames on the host are uploaded in one copy; then one kernel runs.

There are two streams. On the feed's own stream, decoders return their frames, and uploads and the cache's copies run,
in parallel with the training. On the caller's stream the kernel runs, right before the step that reads its output.
Events go both ways: the kernel waits for the frames, and their memory is held until the kernel is done (`lent.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from sciu.pipeline.errors import kind_and_line
from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.feed.memory.buffers import to_device
from sciu.pipeline.feed.memory.lent import Lent
from sciu.pipeline.feed.pixels.render import Source, render_clip
from sciu.pipeline.feed.pixels.threads import in_threads, single_threaded_pool
from sciu.pipeline.feed.pixels.upload import Part, Picks, Staging, Upload
from sciu.pipeline.feed.plan.plan import Samples

Draw = Callable[[Sequence[Source], Sequence[Picks], Samples, ClipBatch], None]
"""Queues the work that writes a batch's pixels and ids."""


class GpuRenderer:
    """Renders batches, one after the other."""

    def __init__(self, device: torch.device, threads: int) -> None:
        self._device = device
        self._threads = threads
        self._pool = single_threaded_pool(threads, "sciu-gather")
        self._staging = Staging()
        self._lent = Lent()
        self._draw, self.reason = choose_draw(device)
        self.stream = torch.cuda.Stream(device)

    def close(self) -> None:
        """Wait for the GPU and end the threads."""
        self._lent.give_back()
        self._pool.shutdown()

    def catch_up(self) -> None:
        """Make the feed's stream wait for the caller's queued work, which may still read memory that it writes."""
        self.stream.wait_stream(torch.cuda.current_stream(self._device))

    def bring(
        self, sources: Sequence[Source], picks: Sequence[Picks], whole: Sequence[bool]
    ) -> tuple[list[Source], list[Picks]]:
        """Copy frames on the host to the device: all frames of a clip, or only the picked ones."""
        found, places = list(sources), list(picks)
        rows = [row for row, source in enumerate(sources) if not source[0].is_cuda]
        if not rows:
            return found, places
        parts = [Part(sources[row], None if whole[row] else picks[row]) for row in rows]
        upload = Upload(parts, self._staging)
        in_threads(self._pool, self._threads, upload.gather, len(rows)).results()
        for row, source in zip(rows, upload.send(self._device), strict=True):
            found[row] = source
            places[row] = picks[row] if whole[row] else np.arange(len(picks[row]))
        self._staging.give_back(upload.memory, torch.cuda.current_stream(self._device).record_event())
        return found, places

    def render(
        self, sources: list[Source], picks: list[Picks], samples: Samples, size: int, into: ClipBatch | None
    ) -> ClipBatch:
        """Queue the rendering on the caller's stream; a batch with as many clips as `into` is written there."""
        stream = torch.cuda.current_stream(self._device)
        stream.wait_stream(self.stream)
        shape = *samples.numbers.shape, size, size, 3
        batch = into if into is not None and len(into) == len(sources) else self._new(shape)
        if batch.frames_BTHWC.shape != shape:
            raise ValueError(f"`into` must have shape {shape}, but has {tuple(batch.frames_BTHWC.shape)}.")
        if sources:
            with torch.cuda.device(self._device):  # Triton launches on the current one
                self._draw(sources, picks, samples, batch)
            self._lent.hold(sources, stream.record_event())
        return batch

    def _new(self, shape: tuple[int, ...]) -> ClipBatch:
        ids_B = torch.empty(shape[0], dtype=torch.int64, device=self._device)
        return ClipBatch(ids_B, torch.empty(shape, dtype=torch.uint8, device=self._device))


def choose_draw(device: torch.device) -> tuple[Draw, str]:
    """Return the kernel, or torch's operations if it cannot be compiled, with the reason."""
    try:
        from sciu.pipeline.feed.pixels.launch import launch

        with torch.cuda.device(device):
            launch(*_sample(device))
            torch.cuda.synchronize(device)
    except Exception as error:  # noqa: BLE001 - Triton, its compiler and the driver raise any type
        why = f"the Triton kernel does not work here: {kind_and_line(error)}"
        return draw_clip_by_clip, f"pixels: torch, clip by clip, because {why}"
    return launch, "pixels: one Triton kernel a batch"


def draw_clip_by_clip(sources: Sequence[Source], picks: Sequence[Picks], samples: Samples, batch: ClipBatch) -> None:
    """Queue a dozen torch operations per clip."""
    batch.ids.copy_(to_device(torch.from_numpy(samples.ids), batch.ids.device))
    for row, (source, picked) in enumerate(zip(sources, picks, strict=True)):
        render_clip(source, picked, samples, row, batch.frames_BTHWC[row])


def _sample(device: torch.device) -> tuple[list[Source], list[Picks], Samples, ClipBatch]:
    """Return a small batch, to detect what is missing before training; each size is compiled when it first occurs."""
    one = np.ones(1, np.float32)
    samples = Samples(
        ids=np.zeros(1, np.int64), numbers=np.zeros((1, 1), np.int32), sizes=np.full((1, 2), 8, np.int32),
        boxes=np.array([[0, 0, 8, 8]], np.int32), flips=np.zeros(1, np.bool_), angles=one, brightness=one, contrast=one,
    )  # fmt: skip
    frames: Tensor = torch.zeros((1, 8, 8, 3), dtype=torch.uint8, device=device)
    batch = ClipBatch(torch.zeros(1, dtype=torch.int64, device=device), frames[None].clone())
    return [frames], [np.zeros(1, np.int64)], samples, batch
