"""What counts as a video and what as a frame, and the frames of a clip in the order of their numbers."""

from __future__ import annotations

import os
import re
from pathlib import Path

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".webm", ".avi", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp", ".ts")
)
IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png"))
PACKED_SUFFIX = ".zip"

_DIGITS = re.compile(r"(\d+)")


def natural_key(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key that puts `2.jpg` before `10.jpg`."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in _DIGITS.split(name))


def is_hidden(name: str) -> bool:
    """Tell the droppings of file managers (`.DS_Store`, `._0001.jpg`, `Thumbs.db`) from media."""
    return name.startswith(".") or name in {"Thumbs.db", "desktop.ini", "__MACOSX"}


def is_video(name: str) -> bool:
    """Tell by its suffix whether a file is a video."""
    return _suffix(name) in VIDEO_SUFFIXES and not is_hidden(name)


def is_image(name: str) -> bool:
    """Tell by its suffix whether a file is a frame."""
    return _suffix(name) in IMAGE_SUFFIXES and not is_hidden(name)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - called once a frame; a Path each costs ten times as much


def frame_files(clip: Path) -> list[Path]:
    """List the image files of a frames clip in natural order; a single image is a clip of one frame."""
    if clip.is_file():
        return [clip]
    names = [entry.name for entry in os.scandir(clip) if is_image(entry.name)]
    return [clip / name for name in sorted(names, key=natural_key)]
