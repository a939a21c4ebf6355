"""Five ways to make a clip unusable, each strong enough to hide the label."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Clip = NDArray[np.uint8]
"""[T, H, W, 3] RGB."""


def degrade(clip: Clip, rng: np.random.Generator) -> Clip:
    """Degrade a clip in one of the five ways."""
    return WAYS[rng.integers(len(WAYS))](clip, rng)


def _blur(clip: Clip, rng: np.random.Generator) -> Clip:
    """Average over 5 to 7 blocks per side, then interpolate, like a bad upscale."""
    size = clip.shape[1]
    cells = int(rng.integers(5, 8))
    edges = np.linspace(0, size, cells + 1).astype(int)
    coarse = np.add.reduceat(np.add.reduceat(clip.astype(np.float32), edges[:-1], axis=1), edges[:-1], axis=2)
    widths = np.diff(edges)
    coarse /= (widths[:, None] * widths[None, :])[None, :, :, None]
    at = np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
    low, part = np.floor(at).astype(int), (at % 1.0).astype(np.float32)
    high = np.minimum(low + 1, cells - 1)
    rows = coarse[:, low] * (1 - part)[None, :, None, None] + coarse[:, high] * part[None, :, None, None]
    blurred = rows[:, :, low] * (1 - part)[:, None] + rows[:, :, high] * part[:, None]
    return _quantise(blurred.round())


def _darken(clip: Clip, rng: np.random.Generator) -> Clip:
    """Keep 2 to 6 % of the light, with the noise of an underexposed sensor."""
    dark = clip * rng.uniform(0.02, 0.06) + rng.normal(6.0, 5.0, clip.shape)
    return _quantise(dark)


def _occlude(clip: Clip, rng: np.random.Generator) -> Clip:
    """Cover the face: the middle three quarters of the picture."""
    size = clip.shape[1]
    colour = rng.uniform(0, 255, 3)
    margin = int(size * rng.uniform(0.06, 0.14))
    spoilt = clip.copy()
    texture = rng.normal(0.0, 8.0, (size - 2 * margin, size - 2 * margin, 1))
    spoilt[:, margin : size - margin, margin : size - margin] = _quantise(colour + texture)
    return spoilt


def _crop_badly(clip: Clip, rng: np.random.Generator) -> Clip:
    """Show an enlarged corner of the picture, as if the detector missed the face."""
    size = clip.shape[1]
    side = size // 4
    top, left = rng.choice([0, size - side], 2)
    steps = (np.arange(size) * side) // size
    return np.ascontiguousarray(clip[:, top + steps][:, :, left + steps])


def _drown_in_noise(clip: Clip, rng: np.random.Generator) -> Clip:
    """Mix a tenth of the signal with nine tenths of noise."""
    noise = rng.integers(0, 256, clip.shape)
    return _quantise(0.1 * clip + 0.9 * noise)


def _quantise(clip: NDArray[np.floating]) -> Clip:
    quantised: Clip = np.clip(clip, 0, 255).astype(np.uint8)
    return quantised


WAYS = (_blur, _darken, _occlude, _crop_badly, _drown_in_noise)
