"""The common part of all feeds: execute a plan in batches, count the work, and leave out bad clips."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.media.probe import MISSING
from sciu.pipeline.errors import require
from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.feed.decode.faults import Fault
from sciu.pipeline.feed.errors import FeedError
from sciu.pipeline.feed.memory.buffers import to_device
from sciu.pipeline.feed.plan.plan import Plan, Samples

_ALWAYS_ALLOWED = 3  # bad clips, however small the dataset

Item = TypeVar("Item")


@dataclass
class Tally:
    """Counts of an epoch, and the seconds that the feed itself waited."""

    clips: int = 0  #: delivered
    decoded: int = 0  #: clips
    cached: int = 0  #: clips that needed no decoding
    frames: int = 0  #: decoded
    files: int = 0  #: opened
    on_host: int = 0  #: clips that FFmpeg decoded on the host
    faults: int = 0  #: clips that were lost
    reading: float = 0.0  #: for files
    decoding: float = 0.0  #: for decoders
    rendering: float = 0.0  #: for pixels, or for their copy to the GPU

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Count the seconds of a wait."""
        began = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, what, getattr(self, what) + time.perf_counter() - began)


@dataclass(kw_only=True)
class Feed(ABC):
    """Executes plans; one feed serves a whole run, one epoch after the other."""

    dataset: Dataset
    device: torch.device
    max_faulty: float = 0.02  # share of a plan's clips that may be bad before the run stops
    tally: Tally = field(default_factory=Tally, init=False)  # of the latest epoch
    faults: dict[int, str] = field(default_factory=dict, init=False)  # of the run: clips and the reasons
    reasons: list[str] = field(default_factory=list, init=False)  # automatic choices, and why
    _epoch: int = field(default=0, init=False)  # the current one, counted from the feed's beginning
    _closed: bool = field(default=False, init=False)
    _into: ClipBatch | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        require(0 <= self.max_faulty <= 1, "max faulty", "0 to 1", self.max_faulty)
        if self.device == torch.device("cuda"):  # DALI and torch would choose different device numbers
            self.device = torch.device("cuda", torch.cuda.current_device())
        self.dataset.require_media()

    def batches(self, plan: Plan, start: int = 0, into: ClipBatch | None = None) -> Generator[ClipBatch, None, None]:
        """Yield the plan's batches from a step on, without bad clips; a batch may be empty.

        A feed reads one epoch at a time: starting another epoch ends the previous one. A feed that renders on a GPU
        writes each batch with as many clips as `into` to `into`, in the order of the caller's stream.
        """
        require(0 <= start <= plan.steps, "start", f"0 to {plan.steps}", start)
        if plan.dataset != self.dataset.fingerprint:
            raise FeedError(f"plan of epoch {plan.epoch} is of another dataset than '{self.dataset.name}'. Plan again.")
        if self._closed:
            raise FeedError("this feed is closed. Make a new one.")
        self._stop()
        self._epoch = self._epoch + 1
        self._into = into
        return self._counted(plan, start, self._epoch)

    def _counted(self, plan: Plan, start: int, epoch: int) -> Generator[ClipBatch, None, None]:
        self.tally = Tally()
        batches = self._batches(plan, start)
        try:
            while (batch := self._next(batches, epoch)) is not None:
                self.tally.clips += len(batch)
                yield batch
        finally:
            if epoch == self._epoch:
                self._stop()

    def _next(self, batches: Iterator[ClipBatch], epoch: int) -> ClipBatch | None:
        if epoch != self._epoch or self._closed:
            raise FeedError("an epoch cannot continue after its feed has started another epoch or was closed.")
        return next(batches, None)

    @abstractmethod
    def _batches(self, plan: Plan, start: int) -> Iterator[ClipBatch]:
        """Yield the batches."""

    def _stop(self) -> None:  # noqa: B027 - most feeds have no work in flight
        """Discard work in flight: after an epoch, in the middle of one, or after an exception."""

    def close(self) -> None:
        """Release threads, processes and memory."""
        self._closed = True

    def __enter__(self) -> Feed:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def try_again(self, ids: NDArray[np.int64]) -> None:
        """Forget faults of clips that a new index lists: a user has released them."""
        for clip in self.faults.keys() & set(ids.tolist()):
            del self.faults[clip]

    def _good(self, samples: Samples) -> Samples:
        """Return the samples without the clips found bad so far; the next index will not list them."""
        return samples[~np.isin(samples.ids, list(self.faults))] if self.faults else samples

    def _lose(self, fault: Fault, plan: Plan) -> None:
        """Continue without a bad clip; raise an error if the cause is not the clips."""
        if fault.reason == MISSING:
            self.dataset.require_media()
        self.faults[fault.clip] = fault.reason
        self.tally.faults += 1
        lost = [(clip, self.faults[clip]) for clip in plan.ids.tolist() if clip in self.faults]
        if len(lost) > max(math.ceil(self.max_faulty * len(plan.ids)), _ALWAYS_ALLOWED if self.max_faulty else 0):
            examples = "; ".join(f"{self.dataset.clips.path[clip]}: {reason}" for clip, reason in lost[:3])
            raise FeedError(
                f"at most {self.max_faulty:.1%} of the clips may be bad, but {len(lost)} are: {examples}."
                " Check disks and mounts. `sciu-data check` checks all clips; --max-faulty allows more bad clips."
            )

    def _batch(self, samples: Samples, frames_BTHWC: torch.Tensor) -> ClipBatch:
        return ClipBatch(to_device(torch.from_numpy(samples.ids), self.device), to_device(frames_BTHWC, self.device))

    def _empty(self, plan: Plan) -> ClipBatch:
        """Return an empty batch: this rank has no clips left, or all of them were bad."""
        nothing = plan.draw(plan.ids[:0])
        shape = 0, nothing.numbers.shape[1], plan.size, plan.size, 3
        return self._batch(nothing, torch.empty(shape, dtype=torch.uint8))


def ahead(items: Iterable[Item], count: int) -> Iterator[Item]:
    """Yield the items, with `count` more of them always prepared ahead."""
    source = iter(items)
    ready = deque(islice(source, count))
    while ready:
        ready.extend(islice(source, 1))
        yield ready.popleft()
