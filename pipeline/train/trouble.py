"""What can go wrong in a step, told in one line with what to change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sciu.pipeline.train.errors import TrainError
from sciu.pipeline.train.settings import Settings

_NO_MEMORY = re.compile("out of memory|can't allocate memory|ALLOC_FAILED", re.IGNORECASE)


@contextmanager
def memory_told(settings: Settings) -> Iterator[None]:
    """Say what to change when memory runs out."""
    try:
        yield
    except RuntimeError as error:
        if not _NO_MEMORY.search(str(error)):
            raise
        raise TrainError(
            f"memory must hold a step of {settings.batch_size} clips x {settings.frames} frames, but is full:"
            f" {str(error).splitlines()[0]} Try --batch-size {max(1, settings.batch_size // 2)}, --amp bf16, a smaller"
            " --size or --cache, and see whether somebody else is on the device."
        ) from error
