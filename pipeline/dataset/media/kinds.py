"""Which files are videos or frames, and the frames of a clip in the order of their numbers."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from sciu.pipeline.dataset.errors import DatasetError

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".webm", ".avi", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp", ".ts")
)
IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png"))
PACKED_SUFFIX = ".zip"

_NUMBER = re.compile(r"([0-9]+)")

NaturalKey = tuple[list[tuple[int, str]], str]


def natural_key(name: str) -> NaturalKey:
    """Return a sort key that puts `2.jpg` before `10.jpg`, and that differs for `1.jpg` and `01.jpg`."""
    parts = _NUMBER.split(name)
    return [(int(part), "") if place % 2 else (-1, part) for place, part in enumerate(parts)], name


def is_hidden(name: str) -> bool:
    """Return whether a file is not media but left by a file manager (`.DS_Store`, `._0001.jpg`, `Thumbs.db`)."""
    return name.startswith(".") or name in {"Thumbs.db", "desktop.ini", "__MACOSX"}


def is_video(name: str) -> bool:
    """Return whether the suffix is that of a video."""
    return _suffix(name) in VIDEO_SUFFIXES and not is_hidden(name)


def is_image(name: str) -> bool:
    """Return whether the suffix is that of an image."""
    return _suffix(name) in IMAGE_SUFFIXES and not is_hidden(name)


def is_packed(name: str) -> bool:
    """Return whether the suffix is that of a clip of packed frames."""
    return _suffix(name) == PACKED_SUFFIX and not is_hidden(name)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - called for every frame; a Path costs ten times as much


def is_folder(path: Path | os.DirEntry[str]) -> bool:
    """Return whether this is a folder; a link loop or an over-long name is not."""
    try:
        return path.is_dir()
    except OSError:
        return False


def frame_files(clip: Path) -> list[Path]:
    """Return the image files of a frames clip in natural order; a single image is a clip of one frame."""
    if not stat.S_ISDIR(clip.stat().st_mode):
        return [require_file(clip)]
    with os.scandir(clip) as entries:
        names = [entry.name for entry in entries if is_image(entry.name)]
    return [clip / name for name in sorted(names, key=natural_key)]


def require_file(path: Path) -> Path:
    """Return the path; raise an error if it is not a regular file, because opening a pipe would block for ever."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise DatasetError("is not a regular file")
    return path
