"""Animated clips for TensorBoard."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

_TILE, _CAPTION, _COLUMNS = 112, 28, 4  # pixels, pixels, clips
_FRAME_TIME = 120  # milliseconds
_DARK, _LIGHT = (33, 37, 41), (255, 255, 255)


def moving_clips(clips: Sequence[Sequence[NDArray[np.uint8]]], captions: Sequence[str]) -> bytes:
    """Tile clips of equal length, each above its caption, as an animated GIF file."""
    frames = [_tiled([clip[number] for clip in clips], captions) for number in range(len(clips[0]))]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=_FRAME_TIME, loop=0, optimize=False)
    return buffer.getvalue()


def _tiled(images: Sequence[NDArray[np.uint8]], captions: Sequence[str]) -> Image.Image:
    rows, columns = -(-len(images) // _COLUMNS), min(len(images), _COLUMNS)
    sheet = Image.new("RGB", (columns * _TILE, rows * (_TILE + _CAPTION)), _LIGHT)
    pen = ImageDraw.Draw(sheet)
    for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left, top = number % _COLUMNS * _TILE, number // _COLUMNS * (_TILE + _CAPTION)
        sheet.paste(Image.fromarray(image).resize((_TILE - 2, _TILE - 2)), (left, top))
        pen.multiline_text((left + 2, top + _TILE), caption, _DARK, spacing=1)
    return sheet
