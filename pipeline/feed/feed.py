"""What feeds have in common: they execute a plan in batches, count what they touched, and lose a bad clip only."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import numpy as np
import torch

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
    """What an epoch touched."""

    clips: int = 0  # delivered
    decoded: int = 0  # clips
    cached: int = 0  # clips that needed no decoding
    frames: int = 0  # decoded
    files: int = 0  # opened
    on_host: int = 0  # clips that FFmpeg decoded on the host
    faults: int = 0  # clips that were lost


@dataclass(kw_only=True)
class Feed(ABC):
    """Executes plans; used for a whole run, one epoch after the other."""

    dataset: Dataset
    device: torch.device
    max_faulty: float = 0.02  # share of a plan's clips that may turn out bad before the run stops
    tally: Tally = field(default_factory=Tally, init=False)  # of the latest epoch
    faults: dict[int, str] = field(default_factory=dict, init=False)  # of the run: clips and what is wrong with them
    reasons: list[str] = field(default_factory=list, init=False)  # what was chosen automatically, and why
    _epoch: int = field(default=0, init=False)  # the one that is being read, counted from the feed's beginning
    _closed: bool = field(default=False, init=False)
    _into: ClipBatch | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        require(0 <= self.max_faulty <= 1, "max faulty", "0 to 1", self.max_faulty)
        if self.device == torch.device("cuda"):  # without a number, which DALI and torch would choose differently
            self.device = torch.device("cuda", torch.cuda.current_device())
        self.dataset.require_media()

    def batches(self, plan: Plan, start: int = 0, into: ClipBatch | None = None) -> Generator[ClipBatch, None, None]:
        """Yield the plan's batches from a step on; a batch without its bad clips, which may leave nothing of it.

        A feed reads one epoch at a time: to begin another one ends the one before. A feed that renders on a GPU writes
        batches of as many clips as `into` has there, each over the one before, in the order of the caller's stream.
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
            raise FeedError("an epoch cannot go on after another one was begun on its feed, or the feed was closed.")
        return next(batches, None)

    @abstractmethod
    def _batches(self, plan: Plan, start: int) -> Iterator[ClipBatch]:
        """Yield the batches."""

    def _stop(self) -> None:  # noqa: B027 - most feeds have nothing on its way
        """Forget what is on its way, after an epoch, in the middle of one, or after anything that was raised."""

    def close(self) -> None:
        """Let go of threads, processes and memory."""
        self._closed = True

    def __enter__(self) -> Feed:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _good(self, samples: Samples) -> Samples:
        """Leave out the clips that were found bad before: the next index will not name them."""
        return samples[~np.isin(samples.ids, list(self.faults))] if self.faults else samples

    def _lose(self, fault: Fault, plan: Plan) -> None:
        """Go on without a clip; stop when it is not the clips that are bad."""
        if fault.reason == MISSING:
            self.dataset.require_media()
        self.faults[fault.clip] = fault.reason
        self.tally.faults += 1
        lost = [(clip, self.faults[clip]) for clip in plan.samples.ids.tolist() if clip in self.faults]
        if len(lost) > max(math.ceil(self.max_faulty * len(plan.samples)), _ALWAYS_ALLOWED if self.max_faulty else 0):
            examples = "; ".join(f"{self.dataset.clips.path[clip]}: {reason}" for clip, reason in lost[:3])
            raise FeedError(
                f"at most {self.max_faulty:.1%} of the clips may be bad, but {len(lost)} are: {examples}."
                " Is a disk or a mount gone? `sciu-data check` looks at all clips; --max-faulty allows more."
            )

    def _batch(self, samples: Samples, frames_BTHWC: torch.Tensor) -> ClipBatch:
        return ClipBatch(to_device(torch.from_numpy(samples.ids), self.device), to_device(frames_BTHWC, self.device))

    def _empty(self, plan: Plan) -> ClipBatch:
        """Return a batch of no clips: this rank has none left, or all of them were bad."""
        shape = 0, plan.samples.numbers.shape[1], plan.size, plan.size, 3
        return self._batch(plan.samples[:0], torch.empty(shape, dtype=torch.uint8))


def ahead(items: Iterable[Item], count: int) -> Iterator[Item]:
    """Keep `count` items ready before the one that is handed out."""
    source = iter(items)
    ready = deque(islice(source, count))
    while ready:
        ready.extend(islice(source, 1))
        yield ready.popleft()
