"""Explain failures of a step in one line, with the remedy."""

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
    """Explain running out of memory, and the loss of another rank; any other error is a bug."""
    try:
        yield
    except RuntimeError as error:
        if MEMORY_IS_FULL.search(str(error)):
            raise TrainError(
                f"Out of memory in a step of {settings.batch_size} clips x {settings.frames} frames:"
                f" {first_line(error)} Try --batch-size {max(1, settings.batch_size // 2)} with"
                f" --accumulate {2 * settings.accumulate}, which comes to the same gradient, --amp bf16, a smaller"
                " --size or --cache, and check whether another process uses the device."
            ) from error
        if _RANK_GONE.search(str(error)):
            raise TrainError(
                f"Another rank has ended or cannot be reached: {first_line(error)} Its own error is above; then"
                " --resume."
            ) from error
        raise
