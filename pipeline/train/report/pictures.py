"""Pictures for TensorBoard: a confusion matrix, and animated clips."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

_CELL, _MARGIN = 56, 110  # pixels
_TILE, _CAPTION, _COLUMNS = 112, 28, 4
_FRAME_TIME = 120  # milliseconds
_DARK, _LIGHT = (33, 37, 41), (255, 255, 255)
_FULL = np.array([8, 81, 156])  # colour of a cell with a share of 1


def confusion_picture(counts: NDArray[np.int64], names: Sequence[str]) -> bytes:
    """Draw true classes as rows and predicted ones as columns, in shares of the row, as a PNG file."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = _MARGIN + len(names) * _CELL
    picture = Image.new("RGB", (side, side), _LIGHT)
    pen = ImageDraw.Draw(picture)
    for row, name in enumerate(names):
        pen.text((4, _MARGIN + row * _CELL + _CELL // 2 - 6), name[:16], _DARK)
        pen.text((_MARGIN + row * _CELL + 4, _MARGIN - 16 - 14 * (row % 2)), name[:9], _DARK)
        for column in range(len(names)):
            _draw_cell(pen, row, column, float(shares[row, column]), int(counts[row, column]))
    return _encoded(picture, "PNG")


def _draw_cell(pen: ImageDraw.ImageDraw, row: int, column: int, share: float, count: int) -> None:
    left, top = _MARGIN + column * _CELL, _MARGIN + row * _CELL
    colour = tuple((255 - share * (255 - _FULL)).astype(int).tolist())
    pen.rectangle((left, top, left + _CELL - 2, top + _CELL - 2), fill=colour)
    ink = _LIGHT if share > 0.5 else _DARK
    pen.text((left + 6, top + 10), f"{share:.0%}", ink)
    pen.text((left + 6, top + 28), f"{count:,}", ink)


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


def _encoded(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()
