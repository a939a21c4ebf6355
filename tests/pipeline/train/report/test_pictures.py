"""Animated clips are files in a common format."""

from __future__ import annotations

import io

from helpers import moving_picture
from PIL import Image

from sciu.pipeline.train.report.pictures import moving_clips


def test_clips_move() -> None:
    clips = [moving_picture(6, 48, 40) for _ in range(5)]
    animation = Image.open(io.BytesIO(moving_clips(clips, [f"clip {k}\n-> sad" for k in range(5)])))
    assert animation.format == "GIF"
    assert getattr(animation, "n_frames", 1) == 6
    assert animation.size == (4 * 112, 2 * 140)
