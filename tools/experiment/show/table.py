"""`table`: the results of a grid so far, methods side by side."""

from __future__ import annotations

from pathlib import Path

import click

from sciu.tools.command import json_option, print_json


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--shape",
    type=click.Choice(["methods", "paper"]),
    default="methods",
    help="Print a table per dataset (methods), or one for all (paper).",
)
@click.option(
    "--format", "language", type=click.Choice(["md", "csv", "latex"]), default="md", help="Print this format."
)
@click.option("--metric", multiple=True, help="Show only these, as war, uar, pruned; a wrong name lists all.")
@click.option(
    "--least", type=click.IntRange(min=1), default=10, help="Leave classes with fewer test clips out of UAR6."
)
@json_option
def table(folder: Path, shape: str, language: str, metric: tuple[str, ...], least: int, as_json: bool) -> None:
    """Show means and deviations over seeds, differences to plain with 95 % confidence, what was found, and the control.

    Values are of the last epoch unless a column says best. CSV and JSON have numbers, a row a measure.

    Example: sciu-experiment table toys --shape paper --metric war --metric uar
    """
    from sciu.tools.experiment.results.read import load_groups, title_of
    from sciu.tools.experiment.show.layout import comma_separated, latex, markdown
    from sciu.tools.experiment.show.tables import as_in_papers, by_method, numbers, require_known

    groups = load_groups(folder)
    require_known(groups, least, metric)
    if as_json:
        print_json({"title": title_of(folder), "rows": numbers(groups, least, metric)})
    elif language == "csv":
        click.echo(comma_separated(numbers(groups, least, metric)), nl=False)
    else:
        paper = shape == "paper"
        tables = (
            [as_in_papers(groups, least, metric)] if paper else [t for g in groups for t in by_method(g, least, metric)]
        )
        click.echo("\n".join(map(markdown if language == "md" else latex, tables)), nl=False)
