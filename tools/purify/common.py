"""What the commands of `sciu-purify` share: a run's store opened, and what a user means by a clip."""

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
    """Return where the store of a run is: in it, or it."""
    return run / "purifier" if (run / "purifier").is_dir() else run


def index_folder(run: Path) -> Path:
    """Return where a run publishes its indexes."""
    return run / "index"


def open_run(run: Path, *, recording: bool = False) -> Purifier:
    """Open to decide."""
    from sciu.purification import Purifier

    return Purifier.open(store_folder(run), recording=recording)


@contextmanager
def look_into(run: Path) -> Iterator[Purifier]:
    """Open to look: all that is seen is of one moment."""
    from sciu.purification import Purifier

    with Purifier.open(store_folder(run), read_only=True) as purifier, purifier.store.reading():
        yield purifier


def rows_of_clips(report: Report, purifier: Purifier, clips: Any) -> list[ClipRow]:
    """Describe clips, one a row."""
    import numpy as np

    from sciu.purification.care.report import rows_of

    return rows_of(report, purifier, np.asarray(clips, np.int64))


def clip_number(purifier: Purifier, text: str) -> int:
    """Return the clip that a user means by an id, a path or the end of one."""
    from sciu.purification.revision import check_clips

    found = purifier.lines.find(text)
    if text.isascii() and text.isdigit():
        number = int(text)
        check_clips([number], purifier.states())
        if set(found) - {number}:
            raise click.UsageError(f"clip must be told apart, but {text!r} is an id, and the path of clip {found[0]}.")
        return number
    if len(found) != 1:
        what = "no clip has it" if not found else f"{len(found)} clips end in it, like {found[:3]}"
        raise click.UsageError(f"clip must be an id, a path, or the end of one path, but {what}: {text!r}.")
    return found[0]


def class_number(purifier: Purifier, name: str) -> int:
    """Return the number of a class by its name."""
    if name not in purifier.class_names:
        raise click.UsageError(f"class must be one of {list(purifier.class_names)}, but is {name!r}.")
    return purifier.class_names.index(name)


def print_clips(columns: Sequence[str], rows: Sequence[ClipRow]) -> None:
    """Print some columns of clips."""
    print_table(columns, [[getattr(row, name) for name in columns] for row in rows])
