"""`--pipeline synthetic`: noise of the plan's shape, to measure the trainer alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.feed.feed import Feed
from sciu.pipeline.feed.plan.plan import Plan


@dataclass(kw_only=True)
class SyntheticFeed(Feed):
    """Reads no file; every batch has the same noise."""

    _noise_BTHWC: torch.Tensor = field(default_factory=lambda: torch.empty(0), init=False)

    def _batches(self, plan: Plan, start: int) -> Iterator[ClipBatch]:
        largest = int(np.diff(plan.offsets).max(initial=0))
        shape = largest, plan.draw(plan.ids[:0]).numbers.shape[1], plan.size, plan.size, 3
        if len(self._noise_BTHWC) < largest or self._noise_BTHWC.shape[1:] != shape[1:]:
            noise_BTHWC = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
            self._noise_BTHWC = noise_BTHWC.to(self.device)
        for number in range(start, plan.steps):
            samples = plan.step(number)
            yield self._batch(samples, self._noise_BTHWC[: len(samples)])
