"""Pictures are files in common formats."""

from __future__ import annotations

import io

import numpy as np
from helpers import moving_picture
from PIL import Image

from sciu.pipeline.train.report.pictures import confusion_picture, moving_clips


def test_a_confusion_matrix_is_darkest_where_the_counts_are() -> None:
    picture = Image.open(io.BytesIO(confusion_picture(np.array([[9, 1], [0, 0]]), ["happy", "sad"])))
    assert picture.format == "PNG"
    corners = [picture.getpixel((110 + 56 * column + 50, 110 + 56 * row + 50)) for row in (0, 1) for column in (0, 1)]
    assert [sum(pixel) for pixel in corners if isinstance(pixel, tuple)] == sorted(
        sum(pixel) for pixel in corners if isinstance(pixel, tuple)
    )


def test_clips_move() -> None:
    clips = [moving_picture(6, 48, 40) for _ in range(5)]
    animation = Image.open(io.BytesIO(moving_clips(clips, [f"clip {k}\n-> sad" for k in range(5)])))
    assert animation.format == "GIF"
    assert getattr(animation, "n_frames", 1) == 6
    assert animation.size == (4 * 112, 2 * 140)
