"""A trace of a few steps, of all threads and of the GPU, for https://ui.perfetto.dev."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import torch
from torch.profiler import profile

from sciu.pipeline.feed.batch import ClipBatch

_BEFORE = 3  # steps: the first ones allocate memory and choose algorithms
_STEPS = 5


def traced(batches: Iterable[ClipBatch], steps: int, file: Path, say: Callable[[str], None]) -> Iterator[ClipBatch]:
    """Yield the batches of an epoch, and write what is done with some of them, of a short epoch with the last."""
    source = iter(batches)
    yield from islice(source, min(_BEFORE, max(0, steps - _STEPS)))
    if not torch.cuda.is_available():
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it complains of the missing GPU as of an error
    with profile() as found:
        yield from islice(source, _STEPS)
    if steps:
        unfinished = file.with_name(f"unfinished-{file.name}")
        found.export_chrome_trace(str(unfinished))
        unfinished.replace(file)
        say(f"profile: a trace of {min(steps, _STEPS)} steps is in '{file}': open it at https://ui.perfetto.dev")
    yield from source
