"""What can go wrong in a step, told in one line with what to change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sciu.pipeline.errors import MEMORY_IS_FULL, first_line
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import TrainError

_RANK_GONE = re.compile("gloo|nccl|connection (closed|reset) by peer", re.IGNORECASE)


@contextmanager
def explain_failures(settings: Settings) -> Iterator[None]:
    """Say what to change when memory runs out, and that another rank is gone; anything else is a bug."""
    try:
        yield
    except RuntimeError as error:
        if MEMORY_IS_FULL.search(str(error)):
            raise TrainError(
                f"memory must hold a step of {settings.batch_size} clips x {settings.frames} frames, but is full:"
                f" {first_line(error)} Try --batch-size {max(1, settings.batch_size // 2)}, --amp bf16, a smaller"
                " --size or --cache, and see whether somebody else is on the device."
            ) from error
        if _RANK_GONE.search(str(error)):
            raise TrainError(
                f"all ranks must be there, but one has ended or cannot be reached: {first_line(error)} What it said"
                " comes before this; --resume goes on."
            ) from error
        raise
