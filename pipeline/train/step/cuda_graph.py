"""The whole step captured as a CUDA graph: thousands of kernels launched at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from sciu.pipeline.feed.batch import ClipBatch

_WARM_UP = 3  # cuDNN chooses algorithms, the allocator and NCCL settle


class CapturedStep:
    """A function of a batch as one CUDA graph; for batches of the shape that it was captured with.

    Writing the next batch straight into `input` saves a copy.
    """

    def __init__(self, learn: Callable[[Tensor, Tensor], None], batch: ClipBatch) -> None:
        self.input = ClipBatch(batch.ids.clone(), batch.frames_BTHWC.clone())
        device = batch.ids.device
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with _fastest_convolutions():
            with torch.cuda.stream(side):
                for _ in range(_WARM_UP):
                    learn(self.input.ids, self.input.frames_BTHWC)
            torch.cuda.current_stream(device).wait_stream(side)
            self._graph = torch.cuda.CUDAGraph()
            # thread_local: other threads may allocate during the capture
            with torch.cuda.graph(self._graph, stream=side, capture_error_mode="thread_local"):
                learn(self.input.ids, self.input.frames_BTHWC)

    def __call__(self, batch: ClipBatch) -> None:
        """Copy the batch to `input`, unless it is there already, and launch everything at once."""
        for name in ("ids", "frames_BTHWC"):
            static, given = getattr(self.input, name), getattr(batch, name)
            if (given.shape, given.dtype, given.device) != (static.shape, static.dtype, static.device):
                raise ValueError(
                    f"`{name}` must be {static.dtype} {tuple(static.shape)} on {static.device} like the captured one,"
                    f" but is {given.dtype} {tuple(given.shape)} on {given.device}."
                )
            if given.data_ptr() != static.data_ptr():
                static.copy_(given, non_blocking=True)
        self._graph.replay()


@contextmanager
def _fastest_convolutions() -> Iterator[None]:
    """Let cuDNN try its algorithms; only here, because it would try them again for every short batch's size."""
    usual = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = usual
