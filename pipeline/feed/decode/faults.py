"""A clip that cannot be decoded, and why; what is wrong with the machine is no fault of a clip."""

from __future__ import annotations

from dataclasses import dataclass

import av

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.media.probe import MEDIA_ERRORS, MISSING, is_outage, reason
from sciu.pipeline.errors import MEMORY_IS_FULL
from sciu.pipeline.feed.errors import FeedError
from sciu.pipeline.feed.memory.free_memory import available_bytes

FAULTS = (*MEDIA_ERRORS, RuntimeError, MemoryError)
"""What decoders raise at bad clips, torchvision RuntimeError; `fault` tells what was the machine's."""
_NO_THREAD = "can't start new thread"
_PLENTY = 1 << 30  # bytes


@dataclass(frozen=True)
class Fault:
    """A clip that cannot be decoded, and why."""

    clip: int
    reason: str


def fault(clip: int, dataset: Dataset, error: Exception) -> Fault:
    """Say what is wrong with a clip; what is wrong with the machine is raised."""
    if isinstance(error, FileNotFoundError):
        return Fault(clip, MISSING)
    full = MEMORY_IS_FULL.search(str(error)) or _NO_THREAD in str(error)
    if is_outage(error) or _lacks_memory(error) or full:
        raise FeedError(
            f"'{dataset.path(clip)}' cannot be read: {reason(error)}. Mend the disk or its permissions, and resume."
        ) from error
    return Fault(clip, reason(error))


def _lacks_memory(error: Exception) -> bool:
    """Tell a full memory from a damaged file that speaks of gigabytes: FFmpeg has one word for both."""
    damaged = isinstance(error, av.error.FFmpegError) and available_bytes() > _PLENTY
    return isinstance(error, MemoryError) and not damaged
