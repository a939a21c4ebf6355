"""torchcodec, PyTorch's own decoder, on the FFmpeg of the system."""

from __future__ import annotations

from torch import Tensor
from torchcodec.decoders import VideoDecoder

from sciu.tools.benchmarks.peers.clips import Clips, Wanted, finished


class TorchcodecClips(Clips):
    """Videos by torchcodec; it need not scan the files of a constant frame rate first."""

    def pixels(self, clip: int, wanted: Wanted) -> Tensor:
        """Read, crop, resize and flip the wanted frames."""
        decoder = VideoDecoder(str(self.dataset.path(clip)), num_ffmpeg_threads=1, seek_mode="approximate")
        return finished(decoder.get_frames_at(wanted.numbers).data, wanted, self.size)
