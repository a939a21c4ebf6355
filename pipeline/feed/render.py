"""Decoded frames -> the pixels that a plan asks for: crop, resize, flip, turn, jitter; on the CPU and on a GPU.

All decoders share this, so that they differ in decoding only. Work that changes nothing is not done.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sciu.pipeline.feed.plan import Views

_MIDDLE_GREY = 127.5

Source = Tensor | list[Tensor]
"""The decoded frames of a clip, uint8: [n, H, W, 3], or one tensor a frame where their sizes differ."""


def render(sources: list[Source], picks: list[NDArray[np.int64]], views: Views, size: int) -> Tensor:
    """Return [B, T, size, size, 3] uint8 on the sources' device; `picks` are those of a source's frames to show."""
    first = sources[0][0]
    frames = views.numbers.shape[1]
    clips_BTHWC = torch.empty((len(sources), frames, size, size, 3), dtype=torch.uint8, device=first.device)
    for row, (source, picked) in enumerate(zip(sources, picks, strict=True)):
        if isinstance(source, Tensor):
            box = _box(views.boxes[row], views.sizes[row], source.shape[1:3])
            _render_clip(_crop(source, box), picked, views, row, clips_BTHWC[row])
        else:
            for place, frame in enumerate(picked.tolist()):
                box = _box(views.boxes[row], views.sizes[row], source[frame].shape[:2])
                picture = _crop(source[frame][None], box)
                _render_clip(picture, _ONE_FRAME, views, row, clips_BTHWC[row, place : place + 1])
    return clips_BTHWC


_ONE_FRAME = np.zeros(1, np.int64)


def stacked(frames: list[Tensor]) -> Source:
    """Make one tensor of a clip's frames, if they are of one size."""
    return torch.stack(frames) if len({frame.shape for frame in frames}) == 1 else frames


def _box(box: NDArray[np.int32], planned: NDArray[np.int32], actual: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Fit a box to frames that are not as large as the table says: clips whose frames differ in size."""
    top, left, height, width = box.tolist()
    if tuple(planned.tolist()) == tuple(actual):
        return top, left, height, width
    down, across = actual[0] / int(planned[0]), actual[1] / int(planned[1])
    height, width = max(1, round(height * down)), max(1, round(width * across))
    return min(round(top * down), actual[0] - height), min(round(left * across), actual[1] - width), height, width


def _crop(frames_THWC: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    top, left, height, width = box
    return frames_THWC[:, top : top + height, left : left + width]


def _render_clip(frames_nHWC: Tensor, picked: NDArray[np.int64], views: Views, row: int, out_THWC: Tensor) -> None:
    if len(picked) != len(frames_nHWC) or picked[-1] != len(picked) - 1:  # ascending: else each is taken once, in order
        frames_nHWC = frames_nHWC[torch.from_numpy(picked).to(frames_nHWC.device)]
    size = out_THWC.shape[1]
    if frames_nHWC.shape[1:3] != (size, size):
        frames_nHWC = _resize(frames_nHWC, size)
    if views.flips[row]:
        frames_nHWC = frames_nHWC.flip(2)
    if angle := float(views.angles[row]):
        frames_nHWC = _turn(frames_nHWC, angle)
    brightness, contrast = float(views.brightness[row]), float(views.contrast[row])
    if brightness != 1 or contrast != 1:
        frames_nHWC = _jitter(frames_nHWC, brightness, contrast)
    out_THWC.copy_(frames_nHWC)


def _resize(frames_THWC: Tensor, size: int) -> Tensor:
    """Resize, smoothing what is made smaller. On a CPU in uint8: a tenth of DALI's time, a fifth of Pillow's."""
    frames_TCHW = frames_THWC.permute(0, 3, 1, 2)
    resized = functional.interpolate(
        frames_TCHW if frames_TCHW.device.type == "cpu" else frames_TCHW.float(),  # CUDA has no uint8 kernel
        (size, size), mode="bilinear", antialias=True,
    )  # fmt: skip
    return _to_uint8(resized).permute(0, 2, 3, 1)


def _turn(frames_THWC: Tensor, degrees: float) -> Tensor:
    """Turn about the middle, anticlockwise; the picture is mirrored into the corners."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn_23 = torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0]], device=frames_THWC.device)
    frames_TCHW = frames_THWC.permute(0, 3, 1, 2).float()
    grid = functional.affine_grid(turn_23.expand(len(frames_TCHW), 2, 3), list(frames_TCHW.shape), align_corners=False)
    turned = functional.grid_sample(frames_TCHW, grid, padding_mode="reflection", align_corners=False)
    return _to_uint8(turned).permute(0, 2, 3, 1)


def _jitter(frames: Tensor, brightness: float, contrast: float) -> Tensor:
    lifted = _MIDDLE_GREY * (1 - contrast)
    return _to_uint8((frames.float() * contrast + lifted) * brightness)


def _to_uint8(pixels: Tensor) -> Tensor:
    return pixels if pixels.dtype == torch.uint8 else pixels.round_().clamp_(0, 255).to(torch.uint8)
