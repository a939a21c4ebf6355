"""What the commands of `sciu-purify` share: opening a run's store, the class that a user names, rows about clips."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sciu.tools.command import print_table

if TYPE_CHECKING:
    from sciu.purification import Purifier
    from sciu.purification.care.report import ClipRow

run_argument = click.argument("run", type=click.Path(path_type=Path))


def login_name() -> str:
    """Return the name of the user, by which decisions are recorded."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


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


def class_number(purifier: Purifier, name: str) -> int:
    """Return the number of a class by its name."""
    if name not in purifier.class_names:
        raise click.UsageError(f"class must be one of {list(purifier.class_names)}, but is {name!r}.")
    return purifier.class_names.index(name)


def print_clips(columns: Sequence[str], rows: Sequence[ClipRow]) -> None:
    """Print some columns of clips."""
    cells = [row.to_json() for row in rows]
    print_table(columns, [[row[name] for name in columns] for row in cells])
