"""torchvision: image files into tensors by libjpeg-turbo, whole clips transformed in uint8."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image

from sciu.tools.benchmarks.peers.clips import Clips, Wanted, finished


class TorchvisionClips(Clips):
    """Image files by torchvision."""

    def pixels(self, clip: int, wanted: Wanted) -> Tensor:
        """Read, crop, resize and flip the wanted frames."""
        return decoded(self.images(clip, wanted.numbers), wanted, self.size)


def decoded(images: list[bytes], wanted: Wanted, size: int) -> Tensor:
    """Decode image files and finish the clip."""
    encoded = [torch.frombuffer(bytearray(image), dtype=torch.uint8) for image in images]
    frames_TCHW = torch.stack([decode_image(image, ImageReadMode.RGB) for image in encoded])
    return finished(frames_TCHW, wanted, size)
