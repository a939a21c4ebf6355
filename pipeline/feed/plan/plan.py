"""The plan of an epoch: the order of its clips, their frames, crops and augmentation.

It is a pure function of the index, the seed, the epoch, the rank and the settings. Every feed executes the same plans.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.errors import require
from sciu.pipeline.feed.errors import FeedError
from sciu.pipeline.feed.plan.augmentation import Augmentation
from sciu.pipeline.feed.plan.draws import Draw, Draws
from sciu.pipeline.feed.plan.sampling import Sampling
from sciu.pipeline.feed.plan.shard import shard
from sciu.purification.index import EpochIndex

_ALL_EPOCHS = 0  # the epoch of draws that are the same for a whole run
_DRAWN_AT_ONCE = 1024  # clips

Ids = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """The frames to read and how to crop and augment them; one row per clip."""

    ids: Ids
    numbers: NDArray[np.int32]  # of frames, [clips, T], ascending
    sizes: NDArray[np.int32]  # height, width of the clip, [clips, 2]
    boxes: NDArray[np.int32]  # top, left, height, width, [clips, 4]
    flips: NDArray[np.bool_]
    angles: NDArray[np.float32]  # degrees, anticlockwise
    brightness: NDArray[np.float32]
    contrast: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Samples:
        return Samples(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """One rank's part of an epoch, in steps; all ranks take the same number of steps.

    What is drawn for a clip depends on nothing but the clip, so it is drawn when its step comes: drawing a million
    clips at once took 2 s and 1 GB. (`--pipeline torch` orders all steps from its workers in advance, and draws all.)
    """

    dataset: str  # its fingerprint
    epoch: int
    training: bool
    size: int  # width and height of the output
    ids: Ids  # in the order of the steps
    offsets: NDArray[np.int64]  # where each step begins, and the end
    draw: Callable[[Ids], Samples]  # the samples of some clips
    _drawn: dict[int, Samples] = field(default_factory=dict, init=False, repr=False)  # the latest block, by its number

    @property
    def steps(self) -> int:
        """Number of batches; the last ones may be short or, in some ranks, empty."""
        return len(self.offsets) - 1

    def step(self, number: int) -> Samples:
        """Return the samples of a step, drawn with its neighbours': numpy takes as long for 20 clips as for one."""
        each = max(1, _DRAWN_AT_ONCE // int(self.offsets[1] or 1))
        block, place = number // each, self.offsets[number // each * each]
        if (drawn := self._drawn.get(block)) is None:
            self._drawn.clear()
            end = self.offsets[min((block + 1) * each, self.steps)]
            drawn = self._drawn[block] = self.draw(self.ids[place:end])
        return drawn[slice(self.offsets[number] - place, self.offsets[number + 1] - place)]

    @cached_property
    def samples(self) -> Samples:
        """The samples of all steps at once: 110 bytes a clip, for measurements and tests."""
        return self.draw(self.ids)

    @property
    def digest(self) -> str:
        """SHA-256 over the whole plan."""
        digest = hashlib.sha256(
            f"{self.dataset} {self.epoch} {self.training} {self.size} {self.offsets.tolist()}".encode()
        )
        for column in fields(Samples):
            digest.update(np.ascontiguousarray(getattr(self.samples, column.name)).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Planner:
    """The settings of a run's plans."""

    dataset: Dataset
    sampling: Sampling = field(default_factory=Sampling)
    augmentation: Augmentation = field(default_factory=Augmentation)
    size: int = 112
    batch_size: int = 16  # of each rank
    seed: int = 0
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        require(self.size >= 1, "size", "at least 1", self.size)
        require(self.batch_size >= 1, "batch size", "at least 1", self.batch_size)
        require(0 <= self.seed < 1 << 63, "seed", "at least 0 and below 2^63", self.seed)
        require(0 <= self.rank < self.world, "rank", f"0 to {self.world - 1}", self.rank)

    def training(self, index: EpochIndex) -> Plan:
        """Plan an epoch of training: shuffled, with random frames, augmented."""
        if len(index.labels) != len(self.dataset):
            raise FeedError(
                f"index of epoch {index.epoch} must have {len(self.dataset)} clips like dataset"
                f" '{self.dataset.name}', but has {len(index.labels)}. It belongs to another dataset."
            )
        ids = self._checked(index.ids, f"index of epoch {index.epoch}")
        mine = self._shard(ids)
        order = np.argsort(Draws(self.seed, index.epoch, mine).words(Draw.ORDER)[:, 0], kind="stable")
        return self._plan(
            mine[order], len(ids), index.epoch, training=True, draw=partial(self._by_chance, epoch=index.epoch)
        )

    def testing(self, ids: Ids, view: int = 0, views: int = 1) -> Plan:
        """Plan a test-time pass over clips, by ascending id and without randomness; views differ in their frames."""
        require(0 <= view < views, "view", f"0 to {views - 1}", view)
        require(views == 1 or self.sampling.how != "uniform", "views", "1 with uniform sampling", views)
        ids = self._checked(np.unique(np.asarray(ids, np.int64)), "list of clips")
        draw = partial(self._without_chance, place=(view + 0.5) / views)
        return self._plan(self._shard(ids), len(ids), 0, training=False, draw=draw)

    def _by_chance(self, ids: Ids, epoch: int) -> Samples:
        draws, sizes = Draws(self.seed, epoch, ids), self._sizes(ids)
        chances = draws.uniforms(Draw.FRAMES, self.sampling.frames)
        return self._samples(ids, chances, sizes=sizes, **self.augmentation.draw(sizes, self.size, draws))

    def _without_chance(self, ids: Ids, place: float) -> Samples:
        sizes, chances = self._sizes(ids), np.full((len(ids), self.sampling.frames), place)
        return self._samples(ids, chances, sizes=sizes, **self.augmentation.without_chance(sizes, self.size))

    def _sizes(self, ids: Ids) -> NDArray[np.int32]:
        """Return height and width of clips, [N, 2]."""
        table = self.dataset.clips
        return np.stack([table.height[ids], table.width[ids]], axis=1)

    def _samples(self, ids: Ids, chances: NDArray[np.float64], **columns: Any) -> Samples:
        return Samples(ids=ids, numbers=self.sampling.numbers(self.dataset.clips.frames[ids], chances), **columns)

    def _checked(self, ids: Ids, what: str) -> Ids:
        if len(ids) and not (ids[0] >= 0 and ids[-1] < len(self.dataset)):
            stranger = ids[0] if ids[0] < 0 else ids[-1]
            raise FeedError(
                f"{what} names clip {stranger}, but dataset '{self.dataset.name}' has clips 0 to"
                f" {len(self.dataset) - 1}. It belongs to another dataset."
            )
        if len(unusable := ids[self.dataset.clips.frames[ids] < 1]):
            reason = self.dataset.clips.quarantine[int(unusable[0])] or "it has no frames"
            raise FeedError(
                f"{what} names clip {unusable[0]}, which the dataset has in quarantine: {reason}."
                " Repair the clip and run `sciu-data check`, or take it out of the run with `sciu-purify quarantine`."
            )
        return ids

    def _shard(self, ids: Ids) -> Ids:
        """Return this rank's clips. They are fixed for the whole run, so that each rank reuses its own cache.

        A split by position would change in each epoch. When clips are pruned, few others change their rank.
        """
        if self.world == 1:
            return ids
        return ids[
            shard(
                lambda span: Draws(self.seed, _ALL_EPOCHS, ids[span]).words(Draw.SHARD)[:, 0],
                len(ids), self.rank, self.world,
            )
        ]  # fmt: skip

    def _plan(self, mine: Ids, clips: int, epoch: int, *, training: bool, draw: Callable[[Ids], Samples]) -> Plan:
        largest_share = math.ceil(clips / self.world)
        steps = math.ceil(largest_share / self.batch_size)
        offsets = np.minimum(np.arange(steps + 1) * self.batch_size, len(mine))
        return Plan(
            dataset=self.dataset.fingerprint, epoch=epoch, training=training, size=self.size, ids=mine,
            offsets=offsets, draw=draw,
        )  # fmt: skip
