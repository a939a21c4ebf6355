"""`figures`: pictures of a grid's results, and the numbers behind each."""

from __future__ import annotations

from pathlib import Path

import click

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.system.files import write_atomically
from sciu.tools.command import json_option, print_json
from sciu.tools.experiment.results.read import load_groups
from sciu.tools.experiment.show.drawings import drawings
from sciu.tools.experiment.show.layout import comma_separated


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Write the files here; old ones are replaced."
)
@click.option(
    "--least", type=click.IntRange(min=1), default=10, help="Leave classes with fewer test clips out of the UAR."
)
@json_option
def figures(folder: Path, out: Path, least: int, as_json: bool) -> None:
    """Draw confusions, curves, reliability, weights, corrections, WAR against UAR: SVG files, each with its CSV.

    Example: sciu-experiment figures toys --out toys/figures
    """
    groups = load_groups(folder)
    for run in (run for group in groups for runs in group.methods.values() for run in runs.values()):
        if not run.arrays():
            raise DatasetError(
                f"'{run.path}' must have its .npz beside it, but only the numbers were kept. Run the grid."
            )
    out.mkdir(parents=True, exist_ok=True)
    made = []
    for group in groups:
        for figure in drawings(group, least):
            if figure.rows:
                path = out / f"{group.data}_{group.backbone}_{figure.name}.svg"
                write_atomically(path, figure.svg.encode())
                write_atomically(path.with_suffix(".csv"), comma_separated(figure.rows).encode())
                made.append(str(path))
    if as_json:
        print_json({"figures": made})
    else:
        click.echo(f"{len(made)} figures in '{out}', each with a CSV of its numbers")
