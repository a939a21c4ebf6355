"""Previews are small and move; a clip that cannot be read costs its own preview only."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from helpers import H264, UNUSABLE, cut, make_unusable_clips, moving_picture, write_clip, write_frames
from PIL import Image

from sciu.pipeline.dataset.media.encode import encode_video
from sciu.tools.report.previews import Media, preview


def opened(content: bytes | None) -> Image.Image:
    assert content is not None
    return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("frames", [1, 3, 12])
def test_a_preview_moves_as_its_clip_does(tmp_path: Path, frames: int) -> None:
    write_frames(tmp_path / "clip", moving_picture(frames))
    image = opened(preview(Media(tmp_path / "clip", "frames", frames)))
    assert image.format == "WEBP"
    assert min(frames, 2) <= getattr(image, "n_frames", 1) <= min(frames, 8)  # frames that look the same are joined


def test_a_wide_video_keeps_its_shape(tmp_path: Path) -> None:
    (tmp_path / "wide.mp4").write_bytes(encode_video(moving_picture(12, width=256, height=128), *H264))
    content = preview(Media(tmp_path / "wide.mp4", "video", 12))
    assert opened(content).size == (64, 32)
    assert content is not None
    assert len(content) < 10_000


@pytest.mark.parametrize("name", sorted(UNUSABLE))
def test_what_cannot_be_read_has_no_preview(tmp_path: Path, name: str) -> None:
    make_unusable_clips(tmp_path)
    kind = "video" if Path(name).suffix in (".mp4", ".avi", ".mkv") else "frames"
    assert preview(Media(tmp_path / name, kind, 12)) is None


def test_what_is_missing_shorter_or_empty_has_no_preview(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.avi")
    assert preview(Media(tmp_path / "gone.avi", "video", 12)) is None
    assert preview(Media(tmp_path / "clip.avi", "video", 0)) is None
    assert preview(Media(cut(tmp_path / "clip.avi"), "video", 12)) is None
