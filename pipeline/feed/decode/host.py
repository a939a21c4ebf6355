"""FFmpeg and Pillow on the host, as a queue like DALI's: clips in, decoded frames out, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch

from sciu.pipeline.feed.decode.faults import FAULTS, Fault, fault
from sciu.pipeline.feed.files.clip_files import ClipFiles, OnHost
from sciu.pipeline.feed.pixels.render import Source, stacked
from sciu.pipeline.feed.pixels.threads import InThreads, in_threads


@dataclass
class HostDecoder:
    """Decodes the clips that DALI does not decode."""

    files: ClipFiles
    threads: int
    _waiting: deque[InThreads[Source | Fault]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.threads, "sciu-decode")

    def put(self, clips: Sequence[OnHost]) -> None:
        """Start decoding a batch."""
        self._waiting.append(in_threads(self._pool, self.threads, lambda place: self.decode(clips[place]), len(clips)))

    def take(self) -> list[Source | Fault]:
        """Return the frames of the batch that was put in first."""
        return self._waiting.popleft().results()

    def drain(self) -> None:
        """Discard the batches that were put in and not taken."""
        while self._waiting:
            self._waiting.popleft().cancel()

    def decode(self, wanted: OnHost) -> Source | Fault:
        """Decode a clip now."""
        try:
            return stacked(
                [torch.from_numpy(np.require(frame, requirements="W")) for frame in self.files.decode(wanted)]
            )
        except FAULTS as error:
            return fault(wanted.clip, self.files.dataset, error)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
