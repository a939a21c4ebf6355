"""WebDataset: the JPEG files of whole clips in tar archives, read from the first byte to the last.

What it reads in sequence it does not have to open; it decodes the wanted frames only, and shuffles in a buffer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import webdataset as wds
from torch import Tensor

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.media.read import read_images
from sciu.pipeline.dataset.system.cores import cores
from sciu.pipeline.feed.plan.plan import Plan
from sciu.tools.benchmarks.peers.clips import BATCHES_AHEAD, Batch, Orders
from sciu.tools.benchmarks.peers.torchvision_clips import decoded

_ARCHIVES_A_WORKER = 4
_SHUFFLED = 100  # clips


@dataclass(frozen=True)
class _Decoder:
    """What is done with a clip in a worker."""

    orders: Orders
    size: int

    def wants(self, sample: tuple[int, dict[int, bytes]]) -> bool:
        return sample[0] in self.orders

    def decode(self, sample: tuple[int, dict[int, bytes]]) -> tuple[Tensor, int]:
        clip, images = sample
        wanted = self.orders[clip]
        return decoded([images[number] for number in wanted.numbers], wanted, self.size), clip


class WebDatasetLoader:
    """The training clips, packed into archives when it is made; the plan decides their pixels, but not their order."""

    def __init__(self, dataset: Dataset, size: int, orders: Orders, batch_size: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sciu-webdataset-")
        self._orders, decoder = orders, _Decoder(orders, size)
        archives = _pack(dataset, Path(self._folder.name))
        clips = (
            wds.WebDataset(archives, shardshuffle=len(archives))
            .map(_clip_and_images)
            .select(decoder.wants)
            .shuffle(_SHUFFLED)
            .map(decoder.decode)
            .batched(batch_size)
        )
        self._loader = wds.WebLoader(
            clips, batch_size=None, num_workers=cores(), persistent_workers=True, prefetch_factor=BATCHES_AHEAD,
            pin_memory=torch.cuda.is_available(), multiprocessing_context="forkserver",
        )  # fmt: skip

    def batches(self, plan: Plan) -> Iterator[Batch]:
        """Yield the clips of a plan; each worker's last batch may be short."""
        self._orders.follow(plan)
        yield from self._loader

    def close(self) -> None:
        """End the workers and delete the archives."""
        del self._loader
        self._folder.cleanup()


def _pack(dataset: Dataset, folder: Path) -> list[str]:
    archives = [str(folder / f"{number:03d}.tar") for number in range(_ARCHIVES_A_WORKER * cores())]
    for number, archive in enumerate(archives):
        with wds.TarWriter(archive) as writer:
            for clip in dataset.ids("train")[number :: len(archives)].tolist():
                images = read_images(dataset.path(clip), range(int(dataset.clips.frames[clip])))
                files = {f"{place}.jpg": image for place, image in enumerate(images)}
                writer.write({"__key__": f"{clip:08d}", **files})
    return archives


def _clip_and_images(sample: dict[str, Any]) -> tuple[int, dict[int, bytes]]:
    images = {int(name.partition(".")[0]): content for name, content in sample.items() if name.endswith(".jpg")}
    return int(sample["__key__"]), images
