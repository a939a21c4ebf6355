"""A map-style dataset of clips that follows a plan of ours, and the two ways to load it: tuned, and as it is usual."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import horizontal_flip, resized_crop

from sciu.pipeline.dataset import Dataset as OurDataset
from sciu.pipeline.dataset.media.kinds import frame_files, is_packed
from sciu.pipeline.dataset.media.read import read_images
from sciu.pipeline.dataset.system.cores import cores
from sciu.pipeline.feed.plan.plan import Plan

BATCHES_AHEAD = 4  # of each worker
_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
_DEVIATION = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)

Item = tuple[Tensor, int]
"""Pixels [T, 3, H, W] and the clip's id."""

Batch = tuple[Tensor, Tensor]
"""Pixels [B, T, 3, H, W] and clip ids."""


@dataclass(frozen=True)
class Wanted:
    """What a plan wants of one clip."""

    numbers: list[int]  # of frames, ascending
    box: tuple[int, int, int, int]  # top, left, height, width
    flip: bool


class Orders:
    """What a plan wants of every clip, in memory that worker processes share: they stay alive over the epochs."""

    def __init__(self, clips: int, frames: int) -> None:
        self._rows = torch.full((clips, frames + 5), -1, dtype=torch.int32).share_memory_()

    def follow(self, plan: Plan) -> None:
        """Want what this plan does."""
        samples = plan.samples
        columns = (samples.numbers, samples.boxes, samples.flips[:, None])
        self._rows.fill_(-1)
        self._rows[torch.from_numpy(samples.ids)] = torch.cat([torch.from_numpy(each).int() for each in columns], 1)

    def __contains__(self, clip: int) -> bool:
        return int(self._rows[clip, 0]) >= 0

    def __getitem__(self, clip: int) -> Wanted:
        *numbers, top, left, height, width, flip = self._rows[clip].tolist()
        return Wanted(numbers, (top, left, height, width), bool(flip))


@dataclass
class Clips(Dataset[Item], ABC):
    """Clips decoded by one library; the item of a clip is uint8 [T, 3, size, size], as the network's step takes it."""

    dataset: OurDataset
    size: int
    orders: Orders

    def __getitem__(self, clip: int) -> Item:
        return self.pixels(clip, self.orders[clip]), clip

    @abstractmethod
    def pixels(self, clip: int, wanted: Wanted) -> Tensor:
        """Read, crop, resize and flip the wanted frames."""

    def images(self, clip: int, numbers: list[int]) -> list[bytes]:
        """Read image files of a clip; where they are is found out once."""
        path = self.dataset.path(clip)
        if is_packed(path.name):
            return read_images(path, numbers)
        files = _files(path)
        return [files[number].read_bytes() for number in numbers]


@cache
def _files(clip: Path) -> list[Path]:
    return frame_files(clip)


def finished(frames_TCHW: Tensor, wanted: Wanted, size: int) -> Tensor:
    """Crop, resize and flip with torchvision, whole clips in uint8."""
    top, left, height, width = wanted.box
    if (height, width) == (size, size):
        cropped = frames_TCHW[:, :, top : top + height, left : left + width]
    else:
        cropped = resized_crop(frames_TCHW, *wanted.box, [size, size], InterpolationMode.BILINEAR, antialias=True)
    return (horizontal_flip(cropped) if wanted.flip else cropped).contiguous()


class TunedLoader:
    """A DataLoader as its documentation advises: workers that stay, several batches ahead, pinned memory, uint8."""

    def __init__(self, clips: Clips) -> None:
        self.clips, self._steps = clips, _Steps()
        self._loader = DataLoader(
            clips, batch_sampler=self._steps, num_workers=cores(), persistent_workers=True,
            prefetch_factor=BATCHES_AHEAD, pin_memory=torch.cuda.is_available(),
            multiprocessing_context="forkserver",
        )  # fmt: skip

    def batches(self, plan: Plan) -> Iterator[Batch]:
        """Yield the batches of a plan."""
        self.clips.orders.follow(plan)
        self._steps.current = [plan.step(number).ids.tolist() for number in range(plan.steps)]
        yield from self._loader

    def close(self) -> None:
        """End the workers, which live as long as the loader."""
        del self._loader


class _Steps(Sampler[list[int]]):
    """The clips of a plan's steps."""

    current: list[list[int]]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.current)


@dataclass
class _Normalised(Dataset[Item]):
    """Clips as float32, normalised in the worker."""

    clips: Clips

    def __getitem__(self, clip: int) -> Item:
        pixels, _ = self.clips[clip]
        return pixels.float().div_(255).sub_(_MEAN).div_(_DEVIATION), clip


def usual_batches(clips: Clips, plan: Plan) -> Iterator[Batch]:
    """Yield the batches of a plan as the field's codes do: new workers in each epoch, float32."""
    clips.orders.follow(plan)
    yield from DataLoader(
        _Normalised(clips), batch_size=int(plan.offsets[1]), sampler=plan.samples.ids.tolist(), num_workers=cores(),
        pin_memory=torch.cuda.is_available(),
    )  # fmt: skip
