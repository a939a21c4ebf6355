"""Where a store's clips are: in the dataset as it is today, which may have been moved since the store was created."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sciu.pipeline.dataset import list_paths
from sciu.pipeline.errors import shown
from sciu.tools.purify.common import store_folder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sciu.pipeline.dataset import Dataset
    from sciu.purification import Purifier
    from sciu.purification.care.report import ClipRow, Report
    from sciu.purification.clip_state import ClipStates

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Take the clips' paths from the dataset in this folder.  [default: where the training last had it]",
)


@dataclass(frozen=True)
class Places:
    """The paths of a store's clips; those that the store itself has only if there is no dataset."""

    purifier: Purifier
    dataset: Dataset | None

    @classmethod
    def of(cls, purifier: Purifier, run: Path, data: Path | None) -> Places:
        """Find the dataset of a store: the one given, else the one that the run's card names, if it is still there."""
        dataset = dataset_of(run, data)
        if dataset is None or dataset.fingerprint == purifier.fingerprint:
            return cls(purifier, dataset)
        if data is None:
            return cls(purifier, None)
        raise click.UsageError(
            f"'{shown(str(data))}' must be the dataset of '{shown(str(run))}', but has other clips, labels or folds."
            " Give the folder of the one that was trained on, or of a packed copy of it."
        )

    def path(self, clip: int) -> str:
        """Return a clip's path."""
        if self.dataset is None:
            return self.purifier.lines.path(clip)
        return str(self.dataset.path(clip))

    def listed(self, rows: Sequence[ClipRow]) -> list[ClipRow]:
        """Return rows with paths that a file list can hold: a path with white space is replaced by a link to it."""
        if self.dataset is None:
            return [*rows]
        paths = list_paths(self.dataset)
        return [replace(row, path=paths[row.clip]) for row in rows]

    def find(self, text: str) -> list[int]:
        """Return the clips whose path, today or when the store was created, is `text` or ends in `/` and `text`."""
        return self._today.find(text) or self._at_first.find(text)

    @cached_property
    def _today(self) -> _Paths:
        media = "" if self.dataset is None else f"{self.dataset.media}/"
        return _Paths([] if self.dataset is None else [f"{media}{path}" for path in self.dataset.clips.path])

    @cached_property
    def _at_first(self) -> _Paths:
        lines = self.purifier.lines
        return _Paths([lines.path(clip) for clip in range(len(lines))])

    @cached_property
    def _states(self) -> ClipStates:
        return self.purifier.states()

    def number(self, text: str) -> int:
        """Return the id of a clip given by its id, its path or the end of its path."""
        from sciu.purification.revision import check_clips

        found = self.find(text)
        if re.fullmatch(r"[0-9]{1,18}", text):  # more digits are no id, and Python converts no more than 4,300
            number = int(text)
            check_clips([number], self._states)
            if set(found) - {number}:
                raise click.UsageError(
                    f"{text!r} is ambiguous: clip id {number}, or the path of clip {found[0]}. Give the full path."
                )
            return number
        if len(found) != 1:
            what = "no path ends in it" if not found else f"{len(found)} paths end in it, like those of {found[:3]}"
            raise click.UsageError(f"clip must be an id, a path, or the end of one path, but is {text!r}: {what}.")
        return found[0]

    def rows(self, report: Report, clips: Sequence[int] | NDArray[np.int64]) -> list[ClipRow]:
        """Return what is known of some clips."""
        import numpy as np

        from sciu.purification.care.report import rows_of

        rows = rows_of(report, self.purifier, np.asarray(clips, np.int64))
        return [replace(row, path=self.path(row.clip)) for row in rows]


class _Paths:
    """The paths of all clips, to be found by their ends: a second for a million, then microseconds a look-up."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._last: dict[str, int] = {}  # the last clip of a file name
        self._before: list[int] = []  # the clip before each of the same name, or -1: lists take 3 times as long
        for clip, path in enumerate(paths):
            name = _split(path)[1]
            self._before.append(self._last.get(name, -1))
            self._last[name] = clip

    def find(self, text: str) -> list[int]:
        """Return the clips whose path is `text` or ends in `/` and `text`."""
        found, clip = [], self._last.get(_split(text)[1], -1)
        while clip >= 0:
            if f"/{self._paths[clip]}".endswith(f"/{text}"):
                found.append(clip)
            clip = self._before[clip]
        return found[::-1]


def _split(path: str) -> tuple[str, str]:
    """Return the folder and the name; `Path` would cost ten times as much."""
    folder, _, name = path.rpartition("/")
    return folder, name


def dataset_of(run: Path, data: Path | None) -> Dataset | None:
    """Load the dataset in `data`, else the one that a run's card names; None where there is none."""
    from sciu.pipeline.dataset import Dataset

    if data is not None:
        return Dataset.load(data)
    try:  # read here: a `RunCard` would import torch, 1.5 s
        card = json.loads((store_folder(run).absolute().parent / "run.json").read_text("utf-8"))
        return Dataset.load(card["dataset"]["folder"])
    except (OSError, ValueError, RecursionError, LookupError, TypeError):  # DatasetError is a ValueError
        return None


def require_existing(rows: Sequence[ClipRow]) -> None:
    """End with exit code 1 if paths that were listed do not exist.

    Those of clips in quarantine may be missing, and of a relative path nobody knows where it begins.
    """
    looked_for = [row.path for row in rows if row.path.startswith("/") and "quarantined" not in row.status]
    missing = _missing(looked_for)
    if missing:
        raise click.ClickException(
            f"{len(missing):,} of {len(rows):,} listed paths do not exist, the first is '{shown(missing[0])}'."
            " If the dataset was moved, give its folder: --data DIR. If clips were lost, run `sciu-data check`."
        )


_WORTH_LISTING = 100  # paths in a folder: over NFS each that is looked for alone is a request


def _missing(paths: Sequence[str]) -> list[str]:
    """Return the paths that do not exist; what the listing of their folder has is not looked for."""
    counts = Counter(_split(path)[0] for path in paths)
    listed = {folder: _listed(folder) for folder, count in counts.items() if count >= _WORTH_LISTING}
    return [
        path
        for path, (folder, name) in zip(paths, map(_split, paths), strict=True)
        if name not in listed.get(folder, ()) and not Path(path).exists()
    ]


def _listed(folder: str) -> set[str]:
    """Return the names in a folder, but for links, which may lead nowhere."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if not entry.is_symlink()}
    except OSError:
        return set()
