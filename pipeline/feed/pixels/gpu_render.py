"""Frames -> the pixels that a plan asks for, on a GPU: what is on the host is uploaded in one copy; then one kernel.

There are two streams. On the feed's own, decoders hand out their frames, and uploads and the cache's copies run, beside
the training. On the caller's stream the kernel runs, right before the step that reads what it makes. Events go both
ways: the kernel waits for the frames, and their memory is held until the kernel is done (`lent.py`).
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
from sciu.pipeline.feed.pixels.threads import single_threaded_pool, spread
from sciu.pipeline.feed.pixels.upload import Part, Picks, Staging, Upload
from sciu.pipeline.feed.plan.plan import Samples

Draw = Callable[[Sequence[Source], Sequence[Picks], Samples, ClipBatch], None]
"""Queues what makes a batch's pixels and ids of its frames."""


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
        """Wait for the GPU, and end the threads."""
        self._lent.give_back()
        self._pool.shutdown()

    def catch_up(self) -> None:
        """Let the feed's stream wait for what the caller has queued: it may write where that still reads."""
        self.stream.wait_stream(torch.cuda.current_stream(self._device))

    def bring(
        self, sources: Sequence[Source], picks: Sequence[Picks], whole: Sequence[bool]
    ) -> tuple[list[Source], list[Picks]]:
        """Bring to the device what is on the host: of each clip all frames, or only those that are picked."""
        found, places = list(sources), list(picks)
        rows = [row for row, source in enumerate(sources) if not source[0].is_cuda]
        if not rows:
            return found, places
        parts = [Part(sources[row], None if whole[row] else picks[row]) for row in rows]
        upload = Upload(parts, self._staging)
        spread(self._pool, self._threads, upload.gather, len(rows)).results()
        for row, source in zip(rows, upload.send(self._device), strict=True):
            found[row] = source
            places[row] = picks[row] if whole[row] else np.arange(len(picks[row]))
        self._staging.give_back(upload.memory, torch.cuda.current_stream(self._device).record_event())
        return found, places

    def render(
        self, sources: list[Source], picks: list[Picks], samples: Samples, size: int, into: ClipBatch | None
    ) -> ClipBatch:
        """Queue the pixels on the caller's stream; `into` is where a batch of as many clips goes."""
        stream = torch.cuda.current_stream(self._device)
        stream.wait_stream(self.stream)
        shape = *samples.numbers.shape, size, size, 3
        batch = into if into is not None and len(into) == len(sources) else self._new(shape)
        if batch.frames_BTHWC.shape != shape:
            raise ValueError(f"`into` must be of shape {shape}, but is of {tuple(batch.frames_BTHWC.shape)}.")
        if sources:
            with torch.cuda.device(self._device):  # Triton launches on the current one
                self._draw(sources, picks, samples, batch)
            self._lent.hold(sources, stream.record_event())
        return batch

    def _new(self, shape: tuple[int, ...]) -> ClipBatch:
        ids_B = torch.empty(shape[0], dtype=torch.int64, device=self._device)
        return ClipBatch(ids_B, torch.empty(shape, dtype=torch.uint8, device=self._device))


def choose_draw(device: torch.device) -> tuple[Draw, str]:
    """Take the kernel, or where it cannot be compiled torch's own operations, and say why."""
    try:
        from sciu.pipeline.feed.pixels.launch import launch

        with torch.cuda.device(device):
            launch(*_sample(device))
            torch.cuda.synchronize(device)
    except Exception as error:  # noqa: BLE001 - Triton, its compiler and the driver raise whatever they like
        why = f"the Triton kernel does not work here: {kind_and_line(error)}"
        return draw_clip_by_clip, f"pixels: torch, clip by clip, because {why}"
    return launch, "pixels: one Triton kernel a batch"


def draw_clip_by_clip(sources: Sequence[Source], picks: Sequence[Picks], samples: Samples, batch: ClipBatch) -> None:
    """Queue a dozen of torch's operations a clip."""
    batch.ids.copy_(to_device(torch.from_numpy(samples.ids), batch.ids.device))
    for row, (source, picked) in enumerate(zip(sources, picks, strict=True)):
        render_clip(source, picked, samples, row, batch.frames_BTHWC[row])


def _sample(device: torch.device) -> tuple[list[Source], list[Picks], Samples, ClipBatch]:
    """Return a small batch, to meet what is missing before the training; sizes are compiled as they come."""
    one = np.ones(1, np.float32)
    samples = Samples(
        ids=np.zeros(1, np.int64), numbers=np.zeros((1, 1), np.int32), sizes=np.full((1, 2), 8, np.int32),
        boxes=np.array([[0, 0, 8, 8]], np.int32), flips=np.zeros(1, np.bool_), angles=one, brightness=one, contrast=one,
    )  # fmt: skip
    frames: Tensor = torch.zeros((1, 8, 8, 3), dtype=torch.uint8, device=device)
    batch = ClipBatch(torch.zeros(1, dtype=torch.int64, device=device), frames[None].clone())
    return [frames], [np.zeros(1, np.int64)], samples, batch
