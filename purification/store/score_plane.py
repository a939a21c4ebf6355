"""A plane of the score ring: one epoch's weight and probabilities for every clip of a block.

Each clip fills its own slots in turn, so that its last scores are kept however many epochs it missed; clips that are
scored in every epoch stay in step, so that an epoch changes one plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass
class Plane:
    """Scores in half precision: 20 bytes per clip at 7 classes. Probabilities are stored class by class, so that a
    maximum over classes is a running one over long rows (ten times faster than `argmax` over rows of 7).
    """

    epoch_N: NDArray[np.int32]  # 0: empty
    weight_N: NDArray[np.float16]
    probs_KN: NDArray[np.float16]

    @classmethod
    def empty(cls, clips: int, classes: int) -> Plane:
        """Return a plane without scores."""
        return cls(np.zeros(clips, np.int32), np.zeros(clips, np.float16), np.zeros((classes, clips), np.float16))

    @staticmethod
    def bytes_of(clips: int, classes: int) -> int:
        """Return how many bytes `from_bytes` takes."""
        return (6 + 2 * classes) * clips

    @classmethod
    def from_bytes(cls, content: memoryview, clips: int, classes: int) -> Plane:
        """Interpret bytes as a plane, without a copy."""
        epoch = np.frombuffer(content, np.int32, clips)
        weight = np.frombuffer(content, np.float16, clips, offset=4 * clips)
        probs = np.frombuffer(content, np.float16, classes * clips, offset=6 * clips).reshape(classes, clips)
        return cls(epoch, weight, probs)

    def buffers(self) -> tuple[memoryview, ...]:
        """Return what `from_bytes` takes, in parts."""
        parts = (self.epoch_N, self.weight_N, self.probs_KN)
        return tuple(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data for part in parts)

    def put(self, where_N: NDArray[np.bool_], epoch: int, scores: Plane) -> Plane:
        """Return this plane with new scores of some clips."""
        return Plane(
            np.where(where_N, np.int32(epoch), self.epoch_N),
            np.where(where_N, scores.weight_N, self.weight_N),
            np.where(where_N, scores.probs_KN, self.probs_KN),
        )
