"""PyAV: FFmpeg on one thread, no frame after the last wanted one, one converter for all frames."""

from __future__ import annotations

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from torch import Tensor

from sciu.tools.benchmarks.peers.clips import Clips, Wanted, finished


class PyavClips(Clips):
    """Videos by PyAV."""

    def pixels(self, clip: int, wanted: Wanted) -> Tensor:
        """Read, crop, resize and flip the wanted frames."""
        found, numbers, converter = {}, set(wanted.numbers), VideoReformatter()
        with av.open(self.dataset.path(clip)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            for number, frame in enumerate(container.decode(stream)):
                if number in numbers:
                    found[number] = converter.reformat(frame, format="rgb24", threads=1).to_ndarray()
                if number == wanted.numbers[-1]:
                    break
        frames_THWC = torch.from_numpy(np.stack([found[number] for number in wanted.numbers]))
        return finished(frames_THWC.permute(0, 3, 1, 2), wanted, self.size)
