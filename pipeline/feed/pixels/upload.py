"""Upload the frames of a batch to the device: gather them in pinned memory, then make one copy."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciu.pipeline.feed.memory.lent import Event
from sciu.pipeline.feed.pixels.render import Source

_SPARE = 4  # a quarter more is pinned than needed, because the next batch may be larger

Picks = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Part:
    """A clip of the batch: only its picked frames, or all of them if `picks` is None."""

    source: Source
    picks: Picks | None

    def shapes(self) -> list[torch.Size]:
        """Return the shape of the tensor of frames, or of each frame if their sizes differ."""
        if isinstance(self.source, Tensor):
            frames = len(self.source) if self.picks is None else len(self.picks)
            return [torch.Size((frames, *self.source.shape[1:]))]
        return [frame.shape for frame in self._frames()]

    def write(self, place: Tensor) -> None:
        """Copy the frames into a piece of memory."""
        if not isinstance(self.source, Tensor):
            torch.cat([frame.reshape(-1) for frame in self._frames()], out=place)
        elif self.picks is None:
            place.view(self.source.shape).copy_(self.source)
        else:
            out = place.view(len(self.picks), *self.source.shape[1:])
            torch.index_select(self.source, 0, torch.from_numpy(self.picks), out=out)

    def read(self, place: Tensor) -> Source:
        """Return the frames in a piece of memory that `write` filled."""
        shapes = self.shapes()
        frames = [piece.view(shape) for piece, shape in zip(place.split(_sizes(shapes)), shapes, strict=True)]
        return frames[0] if isinstance(self.source, Tensor) else frames

    def _frames(self) -> list[Tensor]:
        assert isinstance(self.source, list)
        return self.source if self.picks is None else [self.source[place] for place in self.picks.tolist()]


class Staging:
    """Host memory for uploads, reused once the copy is done, because pinning takes milliseconds."""

    def __init__(self, *, pinned: bool = True) -> None:
        self._pinned = pinned
        self._used: deque[tuple[Tensor, Event]] = deque()  # the oldest first

    def take(self, size: int) -> Tensor:
        """Return at least `size` bytes, uninitialised."""
        if self._used and self._used[0][1].query():
            memory, _ = self._used.popleft()
            if len(memory) >= size:
                return memory
        return torch.empty(size + size // _SPARE, dtype=torch.uint8, pin_memory=self._pinned)

    def give_back(self, memory: Tensor, until: Event) -> None:
        """Allow the memory to be taken again once the work before an event is done."""
        self._used.append((memory, until))


class Upload:
    """An upload of clips."""

    def __init__(self, parts: Sequence[Part], staging: Staging) -> None:
        self._parts = parts
        self._sizes = [sum(_sizes(part.shapes())) for part in parts]
        self.memory = staging.take(sum(self._sizes))  # to give back once the copy is done
        self._staged = self.memory[: sum(self._sizes)]
        self._places = self._staged.split(self._sizes)

    def gather(self, number: int) -> None:
        """Copy a clip to its place; several threads may do this at once."""
        self._parts[number].write(self._places[number])

    def send(self, device: torch.device) -> list[Source]:
        """Queue the copy on the current stream, and return the clips on the device."""
        block = torch.empty(len(self._staged), dtype=torch.uint8, device=device)
        block.copy_(self._staged, non_blocking=True)
        places = block.split(self._sizes)
        return [part.read(place) for part, place in zip(self._parts, places, strict=True)]


def _sizes(shapes: Sequence[torch.Size]) -> list[int]:
    return [shape.numel() for shape in shapes]
