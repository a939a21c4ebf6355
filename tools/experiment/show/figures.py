"""`figures`: pictures of a grid's results, and the numbers behind each."""

from __future__ import annotations

from pathlib import Path

import click

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.system.files import write_atomically
from sciu.pipeline.train.report.drawing import FORMATS
from sciu.tools.command import json_option, print_json


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Write the files here; old ones are replaced."
)
@click.option(
    "--least", type=click.IntRange(min=1), default=10, help="Leave classes with fewer test clips out of the UAR."
)
@click.option("--format", "kind", type=click.Choice([*FORMATS]), default="svg", help="Draw files of this format.")
@json_option
def figures(folder: Path, out: Path, least: int, kind: str, as_json: bool) -> None:
    """Draw confusions, curves, reliability, weights, corrections, WAR against UAR, each with a CSV of its numbers.

    Where there are several seeds, curves are their means, with standard deviations as bars or bands.

    Example: sciu-experiment figures toys --out toys/figures
    """
    from sciu.tools.experiment.results.read import load_groups
    from sciu.tools.experiment.show.drawings import drawings
    from sciu.tools.experiment.show.layout import comma_separated

    groups = load_groups(folder)
    for run in (run for group in groups for runs in group.methods.values() for run in runs.values()):
        if not run.arrays():
            raise DatasetError(
                f"'{run.path}' must have its .npz beside it, but only the numbers were kept. Run the grid."
            )
    out.mkdir(parents=True, exist_ok=True)
    made = []
    for group in groups:
        for drawing in drawings(group, least):
            if drawing.rows:
                path = out / f"{group.data}_{group.backbone}_{drawing.name}.{kind}"
                write_atomically(path, drawing.file(kind))
                write_atomically(path.with_suffix(".csv"), comma_separated(drawing.rows).encode())
                made.append(str(path))
    if as_json:
        print_json({"figures": made})
    else:
        click.echo(f"{len(made)} figures in '{out}', each with a CSV of its numbers")
