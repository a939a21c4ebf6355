"""`sciu-predict`: the expressions in clips, by the network of a run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sciu.pipeline.dataset.importers.listing import read_rows
from sciu.pipeline.dataset.importers.loose import clips_in
from sciu.pipeline.dataset.system.files import write_atomically
from sciu.pipeline.errors import SettingError
from sciu.tools.command import (
    RUN_FAILED,
    Command,
    Progress,
    json_option,
    network_options,
    print_json,
    print_table,
    replace_option,
    require_new_file,
)
from sciu.tools.command.csv_file import csv_file, original

if TYPE_CHECKING:
    from sciu.pipeline.train import Prediction

_PATH = click.Path(path_type=Path)


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("run", type=_PATH)
@click.argument("clips", nargs=-1, type=_PATH)
@click.option(
    "--csv", "tables", type=_PATH, multiple=True, help="Predict the clips in the column `path` of this file, too."
)
@click.option("--data", type=_PATH, help="Predict the clips of this dataset, too.")
@click.option("--split", type=click.Choice(["train", "test", "val"]), help="Take only this split of the dataset.")
@click.option("--out", type=_PATH, help="Write a CSV file with a row for each clip.")
@replace_option
@network_options
@click.option("--batch-size", type=click.IntRange(min=1), help="Predict this many at once.  [default: as in training]")
@json_option
def main(
    run: Path, clips: tuple[Path, ...], tables: tuple[Path, ...], data: Path | None, split: str | None,
    out: Path | None, replace: bool, as_json: bool, **settings: Any,
) -> None:  # fmt: skip
    """Predict the expression in clips: videos, folders of frames, images, or folders of these.

    A clip that cannot be read gets the reason in its row, and the exit code is 1. The dataset of the run is not needed.

    Example: sciu-predict runs/dfew-1 interview.mp4 clips/ --out predictions.csv
    """
    from sciu.pipeline.train import Predictor

    paths = [
        *clips_in(clips),
        *(path for table in tables for path in _listed(table)),
        *(_of_dataset(data, split) if data else []),
    ]
    if split and not data:
        raise SettingError("--split must come with --data, but there is none.")
    if not paths:
        raise SettingError("there must be clips to predict: name files or folders, --csv FILE or --data DIR.")
    if out:
        require_new_file(out, replace=replace)
    with Predictor.load(run, **settings) as predictor:
        if predictor.network.remark:
            click.echo(predictor.network.remark, err=True)
        found = predictor(paths, Progress("predict"))
        classes = predictor.classes
    if out:
        write_atomically(out, _csv(found, classes))
    if as_json:
        print_json({"run": str(run), "classes": classes, "clips": [_row(clip) for clip in found]})
    else:
        _show(found, out)
    if any(clip.fault for clip in found):
        sys.exit(RUN_FAILED)


def _listed(table: Path) -> list[Path]:
    """Return the paths in a CSV file, which are relative to its folder."""
    (_, header), *rows = read_rows(table) or [(0, [])]
    if header.count("path") != 1:
        raise SettingError(f"--csv must be a file with a column `path`, but the first row of '{table}' is {header}.")
    column = header.index("path")
    for number, row in rows:
        if len(row) <= column or not row[column]:
            raise SettingError(f"--csv must have a path in each row, but '{table}':{number} has none.")
    return [table.parent / original(row[column]) for _, row in rows]


def _of_dataset(data: Path, split: str | None) -> Iterator[Path]:
    from sciu.pipeline.dataset import Dataset

    dataset = Dataset.load(data)
    yield from map(dataset.path, dataset.ids(split).tolist() if split else range(len(dataset)))


def _row(clip: Prediction) -> dict[str, Any]:
    return {
        "path": clip.path, "label": clip.label, "probability": clip.probabilities.get(clip.label or ""),
        "weight": clip.weight, "fault": clip.fault, "probabilities": clip.probabilities,
    }  # fmt: skip


def _csv(found: list[Prediction], classes: list[str]) -> bytes:
    columns = ["path", "label", "probability", "weight", "fault"]
    rows = ({**_row(clip), **{f"p({name})": value for name, value in clip.probabilities.items()}} for clip in found)
    return csv_file([*columns, *(f"p({name})" for name in classes)], rows)


def _show(found: list[Prediction], out: Path | None) -> None:
    if out:
        lost = sum(clip.fault is not None for clip in found)
        click.echo(f"{len(found) - lost:,} clips predicted in '{out}', {lost:,} cannot be read")
        return
    rows = [
        [clip.path, clip.label or clip.fault, *(f"{value:.1%}" for value in clip.probabilities.values())]
        for clip in found
    ]
    classes = next((list(clip.probabilities) for clip in found if clip.probabilities), [])
    print_table(["clip", "label", *classes], [row + [None] * (2 + len(classes) - len(row)) for row in rows])


if __name__ == "__main__":
    main()
