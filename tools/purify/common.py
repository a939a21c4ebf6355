"""What the commands of `sciu-purify` share: opening a run's store, finding the clip or class that a user names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sciu.tools.command import print_table

if TYPE_CHECKING:
    from sciu.purification import Purifier
    from sciu.purification.care.report import ClipRow, Report

run_argument = click.argument("run", type=click.Path(path_type=Path))


def store_folder(run: Path) -> Path:
    """Return the folder of a run's store, which may be given itself."""
    return run / "purifier" if (run / "purifier").is_dir() else run


def index_folder(run: Path) -> Path:
    """Return the folder of a run's published indexes."""
    return run / "index"


def open_run(run: Path, *, recording: bool = False) -> Purifier:
    """Open a run's store to change it."""
    from sciu.purification import Purifier

    return Purifier.open(store_folder(run), recording=recording)


@contextmanager
def look_into(run: Path) -> Iterator[Purifier]:
    """Open a run's store to read one snapshot of it."""
    from sciu.purification import Purifier

    with Purifier.open(store_folder(run), read_only=True) as purifier, purifier.store.reading():
        yield purifier


def rows_of_clips(report: Report, purifier: Purifier, clips: Any) -> list[ClipRow]:
    """Return a row for each clip."""
    import numpy as np

    from sciu.purification.care.report import rows_of

    return rows_of(report, purifier, np.asarray(clips, np.int64))


def clip_number(purifier: Purifier, text: str) -> int:
    """Return the id of a clip given by its id, its path or the end of its path."""
    from sciu.purification.revision import check_clips

    found = purifier.lines.find(text)
    if text.isascii() and text.isdigit():
        number = int(text)
        check_clips([number], purifier.states())
        if set(found) - {number}:
            raise click.UsageError(
                f"{text!r} is ambiguous: clip id {number}, or the path of clip {found[0]}. Give the full path."
            )
        return number
    if len(found) != 1:
        what = "no path ends in it" if not found else f"{len(found)} paths end in it, like those of {found[:3]}"
        raise click.UsageError(f"clip must be an id, a path, or the end of one path, but is {text!r}: {what}.")
    return found[0]


def class_number(purifier: Purifier, name: str) -> int:
    """Return the number of a class by its name."""
    if name not in purifier.class_names:
        raise click.UsageError(f"class must be one of {list(purifier.class_names)}, but is {name!r}.")
    return purifier.class_names.index(name)


def print_clips(columns: Sequence[str], rows: Sequence[ClipRow]) -> None:
    """Print some columns of clips."""
    print_table(columns, [[getattr(row, name) for name in columns] for row in rows])
