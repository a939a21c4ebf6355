"""decord, the reader of many video codes."""

from __future__ import annotations

import decord
from torch import Tensor

from sciu.tools.benchmarks.peers.clips import Clips, Wanted, finished


class DecordClips(Clips):
    """Videos by decord; clips are spread over the cores, not the slices of one."""

    def pixels(self, clip: int, wanted: Wanted) -> Tensor:
        """Read, crop, resize and flip the wanted frames."""
        decord.bridge.set_bridge("torch")
        reader = decord.VideoReader(str(self.dataset.path(clip)), num_threads=1)
        frames_THWC: Tensor = reader.get_batch(wanted.numbers)
        return finished(frames_THWC.permute(0, 3, 1, 2), wanted, self.size)
