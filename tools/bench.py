"""`python tools/bench.py`: measurements side by side in one run, as ratios, with the machine they were made on."""

from __future__ import annotations

import click

from sciu.tools.benchmarks.dataset import dataset
from sciu.tools.benchmarks.feed import feed
from sciu.tools.benchmarks.models import models
from sciu.tools.benchmarks.purify import purify
from sciu.tools.benchmarks.step import step
from sciu.tools.benchmarks.train import train
from sciu.tools.command import Group


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Measure, side by side."""


main.add_command(dataset)
main.add_command(feed)
main.add_command(models)
main.add_command(purify)
main.add_command(step)
main.add_command(train)

if __name__ == "__main__":
    main()
