"""Paint a parametric face, all frames of a clip at once.

Every shape is a signed distance in face coordinates (the head's half height is 1), converted to a soft-edged mask. This
needs no drawing library and no fonts, and gives the same pixels on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset.synth.expressions import Movement, resting_face

Field = NDArray[Any]
"""Floats, one per pixel: [T, H, W] or broadcastable to it."""

_DARK = np.array([0.08, 0.05, 0.06], np.float32)
_WHITE = np.array([0.93, 0.93, 0.9], np.float32)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The properties that all clips of a person share."""

    rest: NDArray[np.float64]
    skin: Field
    hair: Field
    iris: Field
    lips: Field
    aspect: float  # of the head
    eye_gap: float
    eye_size: float
    brow_thickness: float
    mouth_width: float
    mouth_height: float
    fringe: float


def draw_identity(rng: np.random.Generator) -> Identity:
    """Draw a person."""
    tone = rng.uniform(0.3, 0.9)
    skin = np.array([tone, tone * rng.uniform(0.72, 0.84), tone * rng.uniform(0.55, 0.72)], np.float32)
    return Identity(
        rest=resting_face(rng),
        skin=skin,
        hair=(rng.uniform(0.05, 0.6) * np.array([1.0, rng.uniform(0.6, 0.95), rng.uniform(0.3, 0.8)])).astype(
            np.float32
        ),
        iris=rng.uniform(0.05, 0.45, 3).astype(np.float32),
        lips=(skin * np.array([rng.uniform(0.8, 1.0), 0.55, 0.6])).astype(np.float32),
        aspect=rng.uniform(0.68, 0.82),
        eye_gap=rng.uniform(0.27, 0.34),
        eye_size=rng.uniform(0.85, 1.15),
        brow_thickness=rng.uniform(0.03, 0.06),
        mouth_width=rng.uniform(0.24, 0.32),
        mouth_height=rng.uniform(0.46, 0.54),
        fringe=rng.uniform(-0.75, -0.55),
    )


def render(person: Identity, movement: Movement, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a clip, [T, size, size, 3] RGB: a person who moves head and face, with background and light."""
    canvas = _Canvas(len(movement.units), size, rng)
    _paint_head(canvas, person)
    _paint_eyes(canvas, person, movement)
    _paint_brows(canvas, person, movement)
    _paint_nose(canvas, person, movement)
    _paint_mouth(canvas, person, movement)
    return canvas.lit(rng)


class _Canvas:
    """The pixels of a clip, and their face coordinates u (right) and v (down) in every frame."""

    def __init__(self, frames: int, size: int, rng: np.random.Generator) -> None:
        axis = np.linspace(-1.1, 1.1, size, dtype=np.float32)
        self.x, self.y = axis[None, None, :], axis[None, :, None]
        time = np.linspace(0.0, 1.0, frames, dtype=np.float32)
        drift = _wander(rng, time, 0.05), _wander(rng, time, 0.05)
        roll, self.yaw = _wander(rng, time, 0.07), _wander(rng, time, 0.06)
        scale = 1.0 + _wander(rng, time, 0.05)
        x, y = self.x - drift[0], self.y - drift[1]
        self.u = (np.cos(roll) * x + np.sin(roll) * y) / scale
        self.v = (np.cos(roll) * y - np.sin(roll) * x) / scale
        self.edge = 2.2 / size
        self.rgb = self._background(rng, time)

    def _background(self, rng: np.random.Generator, time: Field) -> Field:
        near = rng.uniform(0.1, 0.9, 3).astype(np.float32)
        far = np.clip(near + rng.normal(0.0, 0.15, 3), 0.0, 1.0).astype(np.float32)
        angle, waves = rng.uniform(0.0, np.pi), rng.uniform(1.0, 7.0)
        phase = (rng.uniform(-3.0, 3.0) * time)[:, None, None] + rng.uniform(0.0, 6.0)
        blend = 0.5 + 0.5 * np.sin(waves * (np.cos(angle) * self.x + np.sin(angle) * self.y) + phase)
        return (near + blend[..., None] * (far - near)).astype(np.float32)

    def paint(self, distance: Field, colour: Field, strength: Field | float = 1.0) -> None:
        """Paint where the signed distance is negative, with a soft edge of one pixel."""
        mask = (np.clip(0.5 - distance / self.edge, 0.0, 1.0) * strength).astype(np.float32)
        box = (
            slice(None),
            _extent(mask.any(axis=(0, 2))),
            _extent(mask.any(axis=(0, 1))),
        )  # painting only a part takes half the time
        self.rgb[box] += mask[box][..., None] * (colour.astype(np.float32) - self.rgb[box])

    def ellipse(self, u: Field | float, v: Field | float, a: Field | float, b: Field | float) -> Field:
        """Return the distance to an ellipse to first order: exact near its edge, with the correct sign everywhere."""
        du, dv = self.u - u, self.v - v
        radius = np.sqrt((du / a) ** 2 + (dv / b) ** 2)
        slope = np.sqrt((du / a**2) ** 2 + (dv / b**2) ** 2)
        return ((radius - 1.0) * radius / np.maximum(slope, 1e-6)).astype(np.float32)

    def lit(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return the pixels with light from one side and camera noise, quantised."""
        angle, depth, level = rng.uniform(0.0, 2 * np.pi), rng.uniform(0.0, 0.35), rng.uniform(0.75, 1.1)
        light = level * (1.0 + depth * (np.cos(angle) * self.x + np.sin(angle) * self.y))
        grain = rng.normal(0.0, rng.uniform(0.005, 0.02), self.rgb.shape[:3]).astype(np.float32)
        return (np.clip(self.rgb * light[..., None] + grain[..., None], 0.0, 1.0) * 255.0).round().astype(np.uint8)


def _extent(used: Any) -> slice:
    """Return the smallest slice that contains all True values; empty if there are none."""
    places = np.flatnonzero(used)
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)


def _wander(rng: np.random.Generator, time: Field, depth: float) -> Field:
    """Return a slow movement over the clip, [T, 1, 1]."""
    start, swing, rate, phase = (
        rng.normal(0, depth),
        rng.normal(0, depth / 2),
        rng.uniform(0.3, 1.2),
        rng.uniform(0, 2 * np.pi),
    )
    return (start + swing * np.sin(2 * np.pi * rate * time + phase)).astype(np.float32)[:, None, None]


def _over_pixels(curve: NDArray[np.float32]) -> Field:
    return curve[:, None, None]


def _paint_head(canvas: _Canvas, person: Identity) -> None:
    canvas.paint(canvas.ellipse(0.0, 1.75, 0.95, 0.8), person.hair * 0.5 + 0.2)  # shoulders
    canvas.paint(canvas.ellipse(0.0, -0.12, person.aspect * 1.15, 1.05), person.hair)
    head = canvas.ellipse(0.0, 0.0, person.aspect, 0.95)
    canvas.paint(head, person.skin)
    fringe = canvas.v - person.fringe - 0.08 * np.sin(5.0 * canvas.u + 10.0 * person.fringe)
    canvas.paint(np.maximum(head, fringe), person.hair)


def _paint_eyes(canvas: _Canvas, person: Identity, movement: Movement) -> None:
    squint = _over_pixels(np.clip(movement["squint"], 0.0, 1.0))
    opening = np.clip(1.0 + 0.55 * _over_pixels(movement["eye_open"]) - 0.35 * squint, 0.06, 1.9)
    v = -0.16 - 0.03 * squint
    for side in (-1.0, 1.0):
        u = side * person.eye_gap + canvas.yaw
        wide, high = 0.16 * person.eye_size, 0.085 * person.eye_size * opening
        canvas.paint(canvas.ellipse(u, v, wide + 0.025, high + 0.025), person.skin * 0.6)
        eye = canvas.ellipse(u, v, wide, high)
        canvas.paint(eye, _WHITE)
        iris = canvas.ellipse(u + 0.3 * canvas.yaw, v, 0.07, 0.07)
        canvas.paint(np.maximum(eye, iris), person.iris)
        canvas.paint(np.maximum(eye, iris + 0.04), _DARK)


def _paint_brows(canvas: _Canvas, person: Identity, movement: Movement) -> None:
    inner, outer = _over_pixels(movement["brow_inner"]), _over_pixels(movement["brow_outer"])
    knit = _over_pixels(movement["brow_knit"])
    for side in (-1.0, 1.0):
        along = (
            side * (canvas.u - canvas.yaw) - (person.eye_gap - 0.17 - 0.05 * knit)
        ) / 0.36  # 0 inner end, 1 outer end
        t = np.clip(along, 0.0, 1.0)
        height = -0.40 - 0.05 * np.sin(np.pi * t) - 0.11 * (inner * (1.0 - t) + outer * t)
        off_line = canvas.v - height
        off_end = 0.36 * (along - t)
        canvas.paint(np.sqrt(off_line**2 + off_end**2) - person.brow_thickness, person.hair * 0.6)


def _paint_nose(canvas: _Canvas, person: Identity, movement: Movement) -> None:
    shade = person.skin * 0.72
    wrinkle = np.clip(_over_pixels(movement["wrinkle"]), 0.0, 1.0)
    u = canvas.u - 1.2 * canvas.yaw
    canvas.paint(np.maximum(abs(u - 0.05) - 0.015, abs(canvas.v - 0.02) - 0.2), shade)
    for side in (-1.0, 1.0):
        canvas.paint(canvas.ellipse(1.2 * canvas.yaw + 0.075 * side, 0.24 - 0.04 * wrinkle, 0.045, 0.03), _DARK, 0.7)
    for row in (-0.18, -0.11, -0.04):
        canvas.paint(np.maximum(abs(canvas.v - row - 0.3 * abs(u)) - 0.014, abs(u) - 0.12), person.skin * 0.55, wrinkle)


def _paint_mouth(canvas: _Canvas, person: Identity, movement: Movement) -> None:
    half = person.mouth_width * (1.0 + 0.35 * _over_pixels(movement["mouth_width"]))
    opening = np.clip(_over_pixels(movement["mouth_open"]), 0.0, 1.3)
    raised = 0.06 * np.clip(_over_pixels(movement["wrinkle"]), 0.0, 1.0)
    across = np.clip((canvas.u - canvas.yaw) / half, -1.0, 1.0)
    line = (
        person.mouth_height - raised + 0.05 * opening - 0.14 * _over_pixels(movement["mouth_curve"]) * (across**2 - 0.4)
    )
    arch = np.sqrt(1.0 - across**2)
    beyond = abs(canvas.u - canvas.yaw) - half
    off_line = abs(canvas.v - line)
    canvas.paint(np.maximum(off_line - (0.025 + (0.03 + 0.17 * opening) * arch), beyond), person.lips)
    inside = np.maximum(off_line - (0.008 + 0.16 * opening * arch), beyond)
    canvas.paint(inside, _DARK)
    teeth = np.maximum(inside, canvas.v - line + 0.05 * opening)
    canvas.paint(teeth, _WHITE, np.clip(2.0 * opening, 0.0, 0.9))
