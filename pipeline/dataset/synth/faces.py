"""Paint a parametric face, all frames of a clip at once.

Every shape is a signed distance in face coordinates (the head's half height is 1), converted to a soft-edged mask. This
needs no drawing library and no fonts, and gives the same pixels on every machine. A shape is painted within a box, the
same in all frames, and colours are planes: a third of the time of whole pictures of RGB pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset.synth.expressions import Movement, resting_face

Field = NDArray[Any]
"""Floats, one per pixel: [T, H, W] or broadcastable to it."""

Reach = tuple[Field | float, Field | float]
"""The smallest and the largest coordinate of a shape, in each frame."""

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
    scene = _Scene(len(movement.units), size, rng)
    _paint_head(scene, person)
    _paint_eyes(scene, person, movement)
    _paint_brows(scene, person, movement)
    _paint_nose(scene, person, movement)
    _paint_mouth(scene, person, movement)
    return scene.lit(rng)


@dataclass(frozen=True)
class _Canvas:
    """Pixels of a clip, [3, T, H, W], and their face coordinates u (right) and v (down) in every frame."""

    rgb: Field
    u: Field
    v: Field
    edge: float

    def paint(self, distance: Field, colour: Field, strength: Field | float = 1.0) -> None:
        """Paint where the signed distance is negative, with a soft edge of one pixel."""
        mask = np.clip(0.5 - distance / self.edge, 0.0, 1.0) * strength
        for plane, level in zip(self.rgb, colour.astype(np.float32), strict=True):  # a plane fits the cache
            plane += mask * (level - plane)

    def ellipse(self, u: Field | float, v: Field | float, a: Field | float, b: Field | float) -> Field:
        """Return the distance to an ellipse to first order: exact near its edge, with the correct sign everywhere."""
        du, dv = np.square((self.u - u) / a), np.square((self.v - v) / b)
        square = du + dv
        return (square - np.sqrt(square)) / np.sqrt(np.maximum(du / a**2 + dv / b**2, 1e-12))


class _Scene:
    """The pixels of a whole clip, and how the head moves in it."""

    def __init__(self, frames: int, size: int, rng: np.random.Generator) -> None:
        axis = np.linspace(-1.1, 1.1, size, dtype=np.float32)
        self.x, self.y = axis[None, None, :], axis[None, :, None]
        time = np.linspace(0.0, 1.0, frames, dtype=np.float32)
        self.drift = _wander(rng, time, 0.05), _wander(rng, time, 0.05)
        self.roll, self.yaw = _wander(rng, time, 0.07), _wander(rng, time, 0.06)
        self.scale = 1.0 + _wander(rng, time, 0.05)
        x, y = self.x - self.drift[0], self.y - self.drift[1]
        u = (np.cos(self.roll) * x + np.sin(self.roll) * y) / self.scale
        v = (np.cos(self.roll) * y - np.sin(self.roll) * x) / self.scale
        self.canvas = _Canvas(self._background(rng, time), u, v, edge=2.2 / size)

    def _background(self, rng: np.random.Generator, time: Field) -> Field:
        near = rng.uniform(0.1, 0.9, 3).astype(np.float32)
        far = np.clip(near + rng.normal(0.0, 0.15, 3), 0.0, 1.0).astype(np.float32)
        angle, waves = rng.uniform(0.0, np.pi), rng.uniform(1.0, 7.0)
        phase = (rng.uniform(-3.0, 3.0) * time)[:, None, None] + rng.uniform(0.0, 6.0)
        blend = 0.5 + 0.5 * np.sin(waves * self._along(angle) + phase)
        return np.stack([start + blend * way for start, way in zip(near, far - near, strict=True)])

    def _along(self, angle: float) -> Field:
        """Return how far each pixel lies in a direction."""
        return float(np.cos(angle)) * self.x + float(np.sin(angle)) * self.y

    def around(self, u: Reach, v: Reach) -> _Canvas:
        """Return the part of the canvas that holds a shape, with its soft edge, in all frames."""
        corners = [self._place(side, end) for side in u for end in v]
        room = 3 * self.canvas.edge  # one and a half pixels
        columns = _within(self.x.ravel(), np.stack([x for x, _ in corners]), room)
        rows = _within(self.y.ravel(), np.stack([y for _, y in corners]), room)
        box = np.s_[..., rows, columns]
        return _Canvas(self.canvas.rgb[box], self.canvas.u[box], self.canvas.v[box], self.canvas.edge)

    def _place(self, u: Field | float, v: Field | float) -> tuple[Field, Field]:
        """Return where face coordinates are in the picture, in each frame."""
        x = (np.cos(self.roll) * u - np.sin(self.roll) * v) * self.scale + self.drift[0]
        y = (np.sin(self.roll) * u + np.cos(self.roll) * v) * self.scale + self.drift[1]
        return x, y

    def paint_ellipse(
        self, colour: Field, u: Field | float, v: Field | float, a: Field | float, b: Field | float,
        strength: Field | float = 1.0,
    ) -> None:  # fmt: skip
        """Paint an ellipse around (u, v) with half axes a and b."""
        part = self.around((u - a, u + a), (v - b, v + b))
        part.paint(part.ellipse(u, v, a, b), colour, strength)

    def lit(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return the pixels with light from one side and camera noise, quantised."""
        angle, depth, level = rng.uniform(0.0, 2 * np.pi), rng.uniform(0.0, 0.35), rng.uniform(0.75, 1.1)
        light = level * (1.0 + depth * self._along(angle))
        grain = rng.normal(0.0, rng.uniform(0.005, 0.02), self.canvas.u.shape).astype(np.float32)
        pixels = np.empty((*grain.shape, 3), np.uint8)
        for number, plane in enumerate(self.canvas.rgb):
            pixels[..., number] = (np.clip(plane * light + grain, 0.0, 1.0) * 255.0).round()
        return pixels


def _within(axis: Field, places: Field, room: float) -> slice:
    """Return the pixels of an axis between the outermost places, with room around them."""
    first, last = np.searchsorted(axis, [places.min() - room, places.max() + room])
    return slice(int(first), int(last))


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


def _paint_head(scene: _Scene, person: Identity) -> None:
    scene.paint_ellipse(person.hair * 0.5 + 0.2, 0.0, 1.75, 0.95, 0.8)  # shoulders
    scene.paint_ellipse(person.hair, 0.0, -0.12, person.aspect * 1.15, 1.05)
    scene.paint_ellipse(person.skin, 0.0, 0.0, person.aspect, 0.95)
    above = scene.around((-person.aspect, person.aspect), (-0.95, person.fringe + 0.08))
    fringe = above.v - person.fringe - 0.08 * np.sin(5.0 * above.u + 10.0 * person.fringe)
    above.paint(np.maximum(above.ellipse(0.0, 0.0, person.aspect, 0.95), fringe), person.hair)


def _paint_eyes(scene: _Scene, person: Identity, movement: Movement) -> None:
    squint = _over_pixels(np.clip(movement["squint"], 0.0, 1.0))
    opening = np.clip(1.0 + 0.55 * _over_pixels(movement["eye_open"]) - 0.35 * squint, 0.06, 1.9)
    v = -0.16 - 0.03 * squint
    for side in (-1.0, 1.0):
        u = side * person.eye_gap + scene.yaw
        wide, high = 0.16 * person.eye_size, 0.085 * person.eye_size * opening
        scene.paint_ellipse(person.skin * 0.6, u, v, wide + 0.025, high + 0.025)
        part = scene.around((u - wide, u + wide), (v - high, v + high))
        eye = part.ellipse(u, v, wide, high)
        part.paint(eye, _WHITE)
        iris = part.ellipse(u + 0.3 * scene.yaw, v, 0.07, 0.07)
        part.paint(np.maximum(eye, iris), person.iris)
        part.paint(np.maximum(eye, iris + 0.04), _DARK)


def _paint_brows(scene: _Scene, person: Identity, movement: Movement) -> None:
    inner, outer = _over_pixels(movement["brow_inner"]), _over_pixels(movement["brow_outer"])
    knit = _over_pixels(movement["brow_knit"])
    begins, thick = person.eye_gap - 0.17 - 0.05 * knit, person.brow_thickness  # at its inner end
    for side in (-1.0, 1.0):
        ends = side * begins + scene.yaw, side * (begins + 0.36) + scene.yaw
        lift = 0.11 * inner, 0.11 * outer
        part = scene.around(
            (np.minimum(*ends) - thick, np.maximum(*ends) + thick),
            (-0.45 - np.maximum(*lift) - thick, -0.40 - np.minimum(*lift) + thick),
        )
        along = (side * (part.u - scene.yaw) - begins) / 0.36  # 0 inner end, 1 outer end
        t = np.clip(along, 0.0, 1.0)
        height = -0.40 - 0.05 * np.sin(np.pi * t) - 0.11 * (inner * (1.0 - t) + outer * t)
        off_line = part.v - height
        off_end = 0.36 * (along - t)
        part.paint(np.sqrt(off_line**2 + off_end**2) - thick, person.hair * 0.6)


def _paint_nose(scene: _Scene, person: Identity, movement: Movement) -> None:
    wrinkle, middle = np.clip(_over_pixels(movement["wrinkle"]), 0.0, 1.0), 1.2 * scene.yaw
    bridge = scene.around((middle + 0.035, middle + 0.065), (-0.18, 0.22))
    sides = abs(bridge.u - middle - 0.05) - 0.015
    bridge.paint(np.maximum(sides, abs(bridge.v - 0.02) - 0.2), person.skin * 0.72)
    for side in (-1.0, 1.0):
        scene.paint_ellipse(_DARK, middle + 0.075 * side, 0.24 - 0.04 * wrinkle, 0.045, 0.03, strength=0.7)
    if not wrinkle.any():
        return
    for row in (-0.18, -0.11, -0.04):
        part = scene.around((middle - 0.12, middle + 0.12), (row - 0.014, row + 0.05))
        u = abs(part.u - middle)
        crease = abs(part.v - row - 0.3 * u) - 0.014
        part.paint(np.maximum(crease, u - 0.12), person.skin * 0.55, wrinkle)


def _paint_mouth(scene: _Scene, person: Identity, movement: Movement) -> None:
    half = person.mouth_width * (1.0 + 0.35 * _over_pixels(movement["mouth_width"]))
    opening = np.clip(_over_pixels(movement["mouth_open"]), 0.0, 1.3)
    raised = 0.06 * np.clip(_over_pixels(movement["wrinkle"]), 0.0, 1.0)
    curve = 0.14 * _over_pixels(movement["mouth_curve"])
    middle = person.mouth_height - raised + 0.05 * opening
    above, below = np.minimum(0.4 * curve, -0.6 * curve), np.maximum(0.4 * curve, -0.6 * curve)  # of its middle
    high = 0.055 + 0.17 * opening
    part = scene.around((scene.yaw - half, scene.yaw + half), (middle + above - high, middle + below + high))
    across = np.clip((part.u - scene.yaw) / half, -1.0, 1.0)
    line = middle - curve * (across**2 - 0.4)
    arch = np.sqrt(1.0 - across**2)
    beyond = abs(part.u - scene.yaw) - half
    off_line = abs(part.v - line)
    part.paint(np.maximum(off_line - (0.025 + (0.03 + 0.17 * opening) * arch), beyond), person.lips)
    inside = np.maximum(off_line - (0.008 + 0.16 * opening * arch), beyond)
    part.paint(inside, _DARK)
    teeth = np.maximum(inside, part.v - line + 0.05 * opening)
    part.paint(teeth, _WHITE, np.clip(2.0 * opening, 0.0, 0.9))
