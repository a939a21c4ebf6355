"""`sciu-experiment`: grids of trainings and their tables, and measurements that the documentation quotes."""

from __future__ import annotations

import click

from sciu.tools.command import Group
from sciu.tools.experiments.compare import compare
from sciu.tools.experiments.grid.run import run
from sciu.tools.experiments.learnable import learnable
from sciu.tools.experiments.show.figures import figures
from sciu.tools.experiments.show.table import table


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Run grids of trainings, and repeat the measurements that the documentation quotes."""


main.add_command(compare)
main.add_command(figures)
main.add_command(learnable)
main.add_command(run)
main.add_command(table)

if __name__ == "__main__":
    main()
