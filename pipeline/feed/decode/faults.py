"""Faults: clips that cannot be decoded, and why. Errors of the machine are not faults of a clip."""

from __future__ import annotations

from dataclasses import dataclass

import av

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.media.probe import MEDIA_ERRORS, MISSING, is_outage, reason
from sciu.pipeline.errors import MEMORY_IS_FULL
from sciu.pipeline.feed.errors import FeedError
from sciu.pipeline.feed.memory.free_memory import available_bytes

FAULTS = (*MEDIA_ERRORS, RuntimeError, MemoryError)
"""What decoders raise for bad clips, torchvision RuntimeError; `fault` separates errors of the machine."""
_NO_THREAD = "can't start new thread"
_PLENTY = 1 << 30  # bytes


@dataclass(frozen=True)
class Fault:
    """A clip that cannot be decoded, and why."""

    clip: int
    reason: str


def fault(clip: int, dataset: Dataset, error: Exception) -> Fault:
    """Return the fault of a clip; raise a FeedError if the error is the machine's."""
    if isinstance(error, FileNotFoundError):
        return Fault(clip, MISSING)
    if MEMORY_IS_FULL.search(str(error)) or _NO_THREAD in str(error) or _lacks_memory(error):
        raise FeedError(
            f"Out of memory while '{dataset.path(clip)}' was decoded: {reason(error)}. Try a smaller --cache,"
            " --threads or --batch-size, then --resume."
        ) from error
    if is_outage(error):
        raise FeedError(
            f"'{dataset.path(clip)}' cannot be read: {reason(error)}. Fix the disk or its permissions, and resume."
        ) from error
    return Fault(clip, reason(error))


def _lacks_memory(error: Exception) -> bool:
    """Return whether memory is full; FFmpeg raises the same error for a damaged file that declares gigabytes."""
    damaged = isinstance(error, av.error.FFmpegError) and available_bytes() > _PLENTY
    return isinstance(error, MemoryError) and not damaged
