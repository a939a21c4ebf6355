"""`--pipeline torch`: a DataLoader with worker processes, without DALI.

The sampler yields the steps of the current plan, so workers stay alive over the epochs and still see every new index.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torchvision.io import ImageReadMode, decode_jpeg

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.media.kinds import is_packed
from sciu.pipeline.dataset.media.read import decode_image, read_images
from sciu.pipeline.dataset.system.cores import cores
from sciu.pipeline.dataset.system.workers import follow_the_command
from sciu.pipeline.errors import first_line, require
from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.feed.decode.faults import FAULTS, Fault, fault
from sciu.pipeline.feed.errors import FeedError
from sciu.pipeline.feed.feed import Feed
from sciu.pipeline.feed.pixels.render import Source, render_clip, stacked
from sciu.pipeline.feed.plan.plan import Plan, Samples
from sciu.pipeline.feed.plan.sampling import distinct

_BATCHES_AHEAD = 2  # of each worker
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the shared memory of Linux


@dataclass
class Touched:
    """The number of frames and files that a worker read for a batch."""

    frames: int = 0
    files: int = 0


Decoded = tuple[Samples, Tensor | None, list[Fault], Touched] | FeedError


@dataclass(frozen=True)
class _Executor:
    """The work of a worker process: a step of a plan -> its pixels."""

    dataset: Dataset
    size: int

    def __getitem__(self, samples: Samples) -> Decoded:
        try:
            return self._decoded(samples)
        except FeedError as error:  # raised here, it would include the worker's traceback
            return error

    def _decoded(self, samples: Samples) -> Decoded:
        rows, sources, picks, faults, touched = [], [], [], [], Touched()
        for row, clip in enumerate(samples.ids.tolist()):
            wanted, picked = distinct(samples.numbers[row])
            try:
                sources.append(self._decode(clip, wanted))
            except FAULTS as error:
                faults.append(fault(clip, self.dataset, error))
                continue
            rows.append(row)
            picks.append(picked)
            touched.frames += len(wanted)
            touched.files += len(wanted) if self._is_folder(clip) else 1
        samples = samples[np.array(rows, np.int64)]
        if not sources:
            return samples, None, faults, touched
        clips_BTHWC = torch.empty((len(rows), samples.numbers.shape[1], self.size, self.size, 3), dtype=torch.uint8)
        _require_shared_memory(clips_BTHWC.nbytes)
        for row, source in enumerate(sources):
            render_clip(source, picks[row], samples, row, clips_BTHWC[row])
        return samples, clips_BTHWC, faults, touched

    def _is_folder(self, clip: int) -> bool:
        """Return whether a clip is a folder, by the table and not the disk; an image counts as a folder of one."""
        return self.dataset.kind_of(clip) == "frames" and not is_packed(self.dataset.clips.path[clip])

    def _decode(self, clip: int, numbers: NDArray[np.int32]) -> Source:
        wanted = numbers.tolist()
        if self.dataset.kind_of(clip) == "frames":
            return stacked([_decode_image(content) for content in read_images(self.dataset.path(clip), wanted)])
        return stacked([_tensor(frame) for frame in self.dataset.read(clip, wanted)])


def _decode_image(content: bytes) -> Tensor:
    """Decode JPEGs with torchvision, the fastest decoder after DALI, and other images with Pillow."""
    if not content.startswith(b"\xff\xd8"):
        return _tensor(decode_image(content))
    encoded = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    return decode_jpeg(encoded, ImageReadMode.RGB, apply_exif_orientation=True).permute(1, 2, 0)


def _tensor(frame: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.require(frame, requirements="W"))


class _Steps(Sampler[Samples]):
    """The steps of the current plan."""

    def __init__(self) -> None:
        self.current: list[Samples] = []

    def __iter__(self) -> Iterator[Samples]:
        return iter(self.current)


@dataclass(kw_only=True)
class TorchFeed(Feed):
    """Decodes with torchvision and FFmpeg in worker processes."""

    size: int = 112
    threads: int = 0  # worker processes; 0: one per core

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
            prefetch_factor=_BATCHES_AHEAD, multiprocessing_context="forkserver", worker_init_fn=_begin_worker,
            generator=torch.Generator(),  # else a process's first epoch draws from the generator of dropout
            pin_memory=self.device.type == "cuda",
        )  # fmt: skip

    def _batches(self, plan: Plan, start: int) -> Iterator[ClipBatch]:
        require(plan.size == self.size, "size of the plan", f"{self.size} like the feed's", plan.size)
        self._steps.current = [self._good(plan.step(number)) for number in range(start, plan.steps)]
        try:
            for decoded in self._decoded():
                if isinstance(decoded, FeedError):
                    raise decoded
                samples, frames_BTHWC, faults, touched = decoded
                for found in faults:
                    self._lose(found, plan)
                self.tally.decoded += len(samples)
                self.tally.frames += touched.frames
                self.tally.files += touched.files
                yield self._empty(plan) if frames_BTHWC is None else self._batch(samples, frames_BTHWC)
        except (RuntimeError, EOFError, ConnectionError) as error:
            if isinstance(error, RuntimeError) and not re.search("^DataLoader|open files", str(error)):
                raise
            raise FeedError(
                f"a worker process died or hangs: {first_line(error)}."
                " Check memory and /dev/shm. Fewer workers need less of both; `ulimit -n` allows more open files."
            ) from error

    def _decoded(self) -> Iterator[Decoded]:
        """Yield what the workers return; they read, decode and render, so all of it is one wait."""
        with self.tally.waiting("decoding"):
            source = iter(self._loader)
        while True:
            with self.tally.waiting("decoding"):
                found = next(source, None)
            if found is None:
                return
            yield found

    def close(self) -> None:
        """End the workers."""
        super().close()
        running: Any = self._loader._iterator  # noqa: SLF001 - torch offers no other way to end persistent workers
        if running is not None:
            running._shutdown_workers()  # noqa: SLF001


def _require_shared_memory(needed: int) -> None:
    """Raise an error if /dev/shm is full: torch would drop the batch silently, and the training would wait for it."""
    free = shutil.disk_usage(_SHARED_MEMORY).free if _SHARED_MEMORY.is_dir() else needed
    if free < needed:
        raise FeedError(
            f"{_SHARED_MEMORY} must have {needed:,} bytes free for a batch, but has {free:,}."
            " Enlarge it (docker: --shm-size), or use smaller batches or fewer workers."
        )


def _begin_worker(_number: int) -> None:
    follow_the_command()


def _as_it_is(decoded: Decoded) -> Decoded:
    return decoded
