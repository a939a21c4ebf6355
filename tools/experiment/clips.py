"""A whole dataset in memory, for experiments that are to be small and quick."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.system.cores import cores
from sciu.tools.command import Progress

FRAMES = 16


@dataclass(frozen=True)
class Clips:
    """A whole dataset in memory."""

    frames_NTCHW: Tensor  # uint8
    labels_N: Tensor
    train: Tensor
    test: Tensor
    classes: int

    def still(self) -> Clips:
        """Return the same clips, each reduced to its mean frame."""
        mean = torch.stack([clip.float().mean(dim=0, keepdim=True).byte() for clip in self.frames_NTCHW])
        return Clips(mean, self.labels_N, self.train, self.test, self.classes)

    def chance(self) -> float:
        """Return the accuracy of always predicting the test split's largest class."""
        return self.labels_N[self.test].bincount().max().item() / len(self.test)


def load_clips(dataset: Dataset) -> Clips:
    """Decode 16 frames of every clip that can be fed."""
    train, test = dataset.ids("train"), dataset.ids("test")
    if not len(train) or not len(test):
        raise DatasetError(
            f"dataset '{dataset.name}' must have clips to train and to test, but has {len(train)} and {len(test)}."
        )
    ids = np.union1d(train, test)
    if len(sizes := np.unique(np.stack([dataset.clips.width[ids], dataset.clips.height[ids]]), axis=1).T) > 1:
        raise DatasetError(f"clips must have one size, but have {len(sizes)}. Use `sciu-data pack`.")
    progress = Progress("decode")

    def decode(clip: int) -> Tensor:
        frames = int(dataset.clips.frames[clip])
        centres = (2 * np.arange(FRAMES) + 1) * frames // (2 * FRAMES)  # short clips repeat frames evenly
        numbers, places = np.unique(centres, return_inverse=True)
        return torch.from_numpy(np.stack(dataset.read(clip, numbers.tolist()))[places]).permute(0, 3, 1, 2)

    with ThreadPoolExecutor(cores()) as pool:
        clips = []
        for frames in pool.map(decode, ids.tolist()):
            clips.append(frames)
            progress(len(clips), len(ids))
    row = {clip: number for number, clip in enumerate(ids.tolist())}
    return Clips(
        torch.stack(clips),
        torch.from_numpy(dataset.labels[ids].astype(np.int64)),
        torch.tensor([row[clip] for clip in train.tolist()]),
        torch.tensor([row[clip] for clip in test.tolist()]),
        len(dataset.classes),
    )


def augment(frames_BTCHW: Tensor) -> Tensor:
    """Flip half of the batches and shift each by up to a sixteenth of its width, the same for all frames."""
    reach = frames_BTCHW.shape[-1] // 16
    shift = torch.randint(-reach, reach + 1, (2,)).tolist()
    shifted = torch.roll(normalise(frames_BTCHW), shift, dims=(-2, -1))
    return shifted.flip(-1) if torch.rand(()) < 0.5 else shifted


def normalise(frames_BTCHW: Tensor) -> Tensor:
    """Convert bytes to the range that the network expects."""
    return frames_BTCHW.float() / 255 - 0.5
