"""What the commands of `sciu-data` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sciu.pipeline.errors import shown
from sciu.tools.command import LazyChoice, print_table

if TYPE_CHECKING:
    from sciu.pipeline.dataset import Dataset

PATH = click.Path(path_type=Path)


def split_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a command that draws a split."""
    for option in (
        click.option("--seed", type=int, default=0, help="Set the seed of all random numbers."),
        click.option(
            "--by",
            type=LazyChoice("sciu.pipeline.dataset.splits.split:BY"),
            help="Divide whole groups, or clips.  [default: groups if there are any]",
        ),
        click.option("--val", type=float, help="Take this share of the training clips to choose the best epoch by."),
        click.option("--test", type=float, help="Take this share of the training clips for tests."),
    ):
        command = option(command)
    return command


def print_notes(notes: list[str]) -> None:
    """Print what is wrong with a dataset, or what was done about it."""
    for note in notes:
        click.echo(shown(f"Note: {note}"))


def print_classes(dataset: Dataset, fold: int) -> None:
    """Print the clips of each class in each split."""
    from sciu.pipeline.dataset.splits.summary import class_counts

    splits = class_counts(dataset, fold)
    rows: list[list[object]] = [[name, *(counts[name] for counts in splits.values())] for name in dataset.classes]
    rows.append(["all", *(sum(counts.values()) for counts in splits.values())])
    print_table(["class", *splits], rows)
