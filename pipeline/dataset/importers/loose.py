"""Clips that are named one by one: files, folders of frames, and folders of such clips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.media.kinds import (
    NaturalKey,
    is_folder,
    is_hidden,
    is_image,
    is_packed,
    is_video,
    natural_key,
)


def clips_in(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield every file as a clip, and of a folder itself if it has images, else all clips in it, in natural order.

    A folder of nothing is a clip, too, so that its fault is said.
    """
    for path in paths:
        yield from (list(_clips_of(path)) or [path]) if is_folder(path) else [path]


def _clips_of(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted((each for each in folder.iterdir() if not is_hidden(each.name)), key=_by_name)
    except OSError as error:
        raise DatasetError(f"'{folder}' cannot be read: {error.strerror}. Give a folder of clips.") from error
    if images := [each.name for each in entries if is_image(each.name)]:
        if videos := [each.name for each in entries if is_video(each.name)]:
            raise DatasetError(
                f"'{folder}' must be a clip of images or hold videos, but has both, '{images[0]}' and '{videos[0]}'."
                " Name the clips one by one, or move the others away."
            )
        yield folder
        return
    for entry in entries:
        if is_folder(entry) and not entry.is_symlink():  # a link could lead back here
            yield from _clips_of(entry)
        elif is_video(entry.name) or is_packed(entry.name):
            yield entry


def _by_name(path: Path) -> NaturalKey:
    return natural_key(path.name)
