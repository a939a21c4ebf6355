"""`--pipeline torch`: a DataLoader with worker processes, the way without DALI.

The sampler hands out the plan's own steps, so workers stay alive over the epochs and yet see every new index.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torchvision.io import ImageReadMode, decode_jpeg

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.read import read_images
from sciu.pipeline.dataset.workers import cores
from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.feed.errors import FeedError, require
from sciu.pipeline.feed.feed import FAULTS, Fault, Feed, fault
from sciu.pipeline.feed.plan import Plan, Views
from sciu.pipeline.feed.render import Source, render_clip, stacked

_BATCHES_AHEAD = 2  # of each worker

Decoded = tuple[Views, Tensor | None, list[Fault], int]


@dataclass(frozen=True)
class _Executor:
    """What a worker process does: a step of a plan -> its pixels."""

    dataset: Dataset
    size: int

    def __getitem__(self, views: Views) -> Decoded:
        rows, sources, picks, faults, frames = [], [], [], [], 0
        for row, clip in enumerate(views.ids.tolist()):
            wanted, picked = np.unique(views.numbers[row], return_inverse=True)
            try:
                sources.append(self._decode(clip, wanted))
            except FAULTS as error:
                faults.append(fault(clip, self.dataset, error))
                continue
            rows.append(row)
            picks.append(picked)
            frames += len(wanted)
        views = views[np.array(rows, np.int64)]
        if not sources:
            return views, None, faults, frames
        clips_BTHWC = torch.empty((len(rows), views.numbers.shape[1], self.size, self.size, 3), dtype=torch.uint8)
        for row, source in enumerate(sources):
            render_clip(source, picks[row], views, row, clips_BTHWC[row])
        return views, clips_BTHWC, faults, frames

    def _decode(self, clip: int, numbers: NDArray[np.int32]) -> Source:
        wanted = numbers.tolist()
        if self.dataset.clips.codec[clip] == "jpeg":
            return stacked([_decode_jpeg(content) for content in read_images(self.dataset.path(clip), wanted)])
        return stacked([torch.from_numpy(frame) for frame in self.dataset.read(clip, wanted)])


def _decode_jpeg(content: bytes) -> Tensor:
    encoded = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    return decode_jpeg(encoded, ImageReadMode.RGB, apply_exif_orientation=True).permute(1, 2, 0)


class _Steps(Sampler[Views]):
    """The steps of whatever plan is the current one."""

    def __init__(self) -> None:
        self.current: list[Views] = []

    def __iter__(self) -> Iterator[Views]:
        return iter(self.current)


@dataclass(kw_only=True)
class TorchFeed(Feed):
    """Decodes with torchvision and FFmpeg in worker processes."""

    size: int = 112
    threads: int = 0  # worker processes; 0: one a core

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.threads >= 0, "threads", "at least 0", self.threads)
        workers = self.threads or cores()
        self.reasons = [f"{len(self.dataset)} clips: torchvision and FFmpeg in {workers} processes"]
        self._steps = _Steps()
        self._loader: DataLoader[Decoded] = DataLoader(
            _Executor(self.dataset, self.size),  # type: ignore[arg-type] # its keys are steps, not numbers
            sampler=self._steps, batch_size=None, collate_fn=_as_it_is,  # type: ignore[arg-type]
            num_workers=workers, persistent_workers=True,
            prefetch_factor=_BATCHES_AHEAD, multiprocessing_context="forkserver",
            pin_memory=self.device.type == "cuda",
        )  # fmt: skip

    def _batches(self, plan: Plan, start: int) -> Iterator[ClipBatch]:
        assert plan.size == self.size
        self._steps.current = [self._good(plan.step(number)) for number in range(start, plan.steps)]
        try:
            for views, frames_BTHWC, faults, frames in self._loader:
                for found in faults:
                    self._lose(found, plan)
                self.tally.decoded += len(views)
                self.tally.frames += frames
                yield self._empty(plan) if frames_BTHWC is None else self._batch(views, frames_BTHWC)
        except (RuntimeError, EOFError, ConnectionError) as error:
            if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
                raise
            raise FeedError(
                f"a worker process died: {str(error) or type(error).__name__}. Is memory or /dev/shm full?"
                " Fewer workers need less of both."
            ) from error


def _as_it_is(decoded: Decoded) -> Decoded:
    return decoded
