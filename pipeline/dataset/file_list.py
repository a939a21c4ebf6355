"""Paths for an epoch index, which is a DALI `file_list`: one path and one number per line, separated by white space.

DALI ends a path at the first blank and resolves relative paths from the current directory (measured with 2.4.0;
`file_root` is ignored next to `file_list`). So the paths are absolute, and a clip whose path contains white space is
listed under a symbolic link, `links/<id><suffix>` in the dataset's folder.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from sciu.pipeline.dataset.errors import DatasetError

if TYPE_CHECKING:
    from sciu.pipeline.dataset.dataset import Dataset

LINKS = "links"
_WHITE_SPACE = re.compile(r"\s")


def list_paths(dataset: Dataset) -> list[str]:
    """Return a path without white space for every clip, and create or repair the links it needs."""
    media = str(dataset.media)
    paths = [f"{media}/{path}" if not path.startswith("/") else path for path in dataset.clips.path]
    blank = [clip for clip, path in enumerate(paths) if _WHITE_SPACE.search(path)]
    links = dataset.folder / LINKS
    if blank and _WHITE_SPACE.search(str(links)):
        raise DatasetError(
            f"dataset folder must have no white space in its path, but is '{dataset.folder}':"
            " DALI file lists end a path at a blank. Move the folder, or open it through a link: ln -s FOLDER LINK."
        )
    if blank:
        links.mkdir(exist_ok=True)
    for clip in blank:
        paths[clip] = str(_link(links, clip, paths[clip]))
    return paths


def _link(links: Path, clip: int, target: str) -> Path:
    suffix = Path(target).suffix
    link = links / (str(clip) if _WHITE_SPACE.search(suffix) else f"{clip}{suffix}")
    if not (link.is_symlink() and str(link.readlink()) == target):
        fresh = links / f".{clip}.{os.getpid()}"
        fresh.symlink_to(target)
        fresh.replace(link)  # in one step: another process may be making the same link
    return link
