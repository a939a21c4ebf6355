"""Pillow, which most of the field's codes read frames with."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sciu.tools.benchmarks.peers.clips import Clips, Wanted


class PillowClips(Clips):
    """Image files by Pillow."""

    def pixels(self, clip: int, wanted: Wanted) -> Tensor:
        """Read, crop, resize and flip the wanted frames."""
        images = self.images(clip, wanted.numbers)
        frames_THWC = np.stack([np.asarray(self._image(image, wanted)) for image in images])
        return torch.from_numpy(frames_THWC).permute(0, 3, 1, 2).contiguous()

    def _image(self, content: bytes, wanted: Wanted) -> Image.Image:
        top, left, height, width = wanted.box
        image = Image.open(io.BytesIO(content)).convert("RGB").crop((left, top, left + width, top + height))
        if image.size != (self.size, self.size):
            image = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if wanted.flip else image
