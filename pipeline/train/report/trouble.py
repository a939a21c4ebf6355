"""What can go wrong in a step, told in one line with what to change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import TrainError

_NO_MEMORY = re.compile("out of memory|can't allocate memory|ALLOC_FAILED", re.IGNORECASE)
_RANK_GONE = re.compile("gloo|nccl|connection (closed|reset) by peer", re.IGNORECASE)


@contextmanager
def trouble_told(settings: Settings) -> Iterator[None]:
    """Say what to change when memory runs out, and that another rank is gone; anything else is a bug."""
    try:
        yield
    except RuntimeError as error:
        first_line = (str(error).splitlines() or [""])[0]
        if _NO_MEMORY.search(str(error)):
            raise TrainError(
                f"memory must hold a step of {settings.batch_size} clips x {settings.frames} frames, but is full:"
                f" {first_line} Try --batch-size {max(1, settings.batch_size // 2)}, --amp bf16, a smaller --size or"
                " --cache, and see whether somebody else is on the device."
            ) from error
        if _RANK_GONE.search(str(error)):
            raise TrainError(
                f"all ranks must be there, but one has ended or cannot be reached: {first_line} What it said"
                " comes before this; --resume goes on."
            ) from error
        raise
