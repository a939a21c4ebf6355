"""Seven expressions as movements of facial action units over time: rest, onset, apex, offset.

A class is a *change* from the identity's resting face, and resting faces differ about as much as expressions do: some
mouths always point up at the corners. One frame, or the mean of all frames, is therefore ambiguous.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float32]
"""One value per frame, [T]."""

CLASSES = ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear")

UNITS = (
    "brow_inner",
    "brow_outer",
    "brow_knit",
    "eye_open",
    "squint",
    "mouth_curve",
    "mouth_open",
    "mouth_width",
    "wrinkle",
)

# Each class at its apex, in the units above; 1 is a strong movement.
_APEX: dict[str, tuple[float, ...]] = {
    #           inner outer  knit  eyes squint curve  open width wrinkle
    "happy":    (0.0, 0.0,  0.0,  0.0,  0.6,  1.0,  0.2,  0.5, 0.0),
    "sad":      (0.8, -0.2, 0.3, -0.4,  0.0, -0.9,  0.0, -0.1, 0.0),
    "neutral":  (0.0, 0.0,  0.0,  0.0,  0.0,  0.0,  0.0,  0.0, 0.0),
    "angry":    (-0.9, 0.1, 0.9,  0.1,  0.4, -0.3,  0.0, -0.4, 0.2),
    "surprise": (0.8, 0.9,  0.0,  0.8,  0.0,  0.0,  1.0, -0.3, 0.0),
    "disgust":  (-0.5, -0.3, 0.3, -0.2, 0.7, -0.7,  0.2,  0.1, 1.0),
    "fear":     (0.9, 0.3,  0.6,  0.7,  0.0, -0.3,  0.4,  0.6, 0.0),
}  # fmt: skip

_REST_DEVIATIONS = np.array([0.25, 0.2, 0.15, 0.15, 0.08, 0.3, 0.08, 0.15, 0.05])


@dataclass(frozen=True)
class Movement:
    """The action units of a clip, [T, units], and the strength of its expression."""

    units: NDArray[np.float32]
    intensity: float

    def __getitem__(self, unit: str) -> Curve:
        return self.units[:, UNITS.index(unit)]


def resting_face(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the resting face of an identity."""
    rest: NDArray[np.float64] = rng.normal(0.0, _REST_DEVIATIONS)
    rest[UNITS.index("mouth_open")] = abs(rest[UNITS.index("mouth_open")])
    return rest


def perform(label: int, rest: NDArray[np.float64], frames: int, rng: np.random.Generator) -> Movement:
    """Return an identity's movement for an expression, with blinks and talking, which belong to no class."""
    time = np.linspace(0.0, 1.0, frames) if frames > 1 else np.array([0.4])
    intensity = float(rng.uniform(0.8, 1.7))
    apex = np.array(_APEX[CLASSES[label]]) * rng.uniform(0.75, 1.25, len(UNITS))
    units = rest + intensity * _envelope(time, rng)[:, None] * apex
    units[:, UNITS.index("mouth_open")] += _talking(time, rng)
    units[:, UNITS.index("eye_open")] -= _blinks(time, rng)
    return Movement(units.astype(np.float32), intensity)


def _envelope(time: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a curve that rises to the apex, holds and falls; the clip may end before the face is at rest again."""
    onset, rise, hold, fall = (
        rng.uniform(0.05, 0.35),
        rng.uniform(0.08, 0.25),
        rng.uniform(0.25, 0.5),
        rng.uniform(0.1, 0.3),
    )
    return _ramp(time, onset, rise) - _ramp(time, onset + rise + hold, fall)


def _ramp(time: NDArray[np.float64], start: float, length: float) -> NDArray[np.float64]:
    x = np.clip((time - start) / length, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def _talking(time: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    if rng.random() < 0.6:
        return np.zeros_like(time)
    rate, phase, depth = rng.uniform(3.0, 6.0), rng.uniform(0.0, 2 * np.pi), rng.uniform(0.1, 0.3)
    return depth * (0.5 + 0.5 * np.sin(2 * np.pi * rate * time + phase))


def _blinks(time: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    centres = rng.uniform(0.0, 1.0, rng.poisson(0.8))
    closed: NDArray[np.float64] = np.exp(-(((time[:, None] - centres) / 0.03) ** 2)).sum(axis=1)
    return 1.6 * np.minimum(closed, 1.0)
