"""`sciu-experiment`: measurements that the documentation quotes, each repeatable by one command."""

from __future__ import annotations

import click

from sciu.tools.command import Group
from sciu.tools.experiments.compare import compare
from sciu.tools.experiments.learnable import learnable
from sciu.tools.experiments.rules import rules


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Repeat the measurements that the documentation quotes."""


main.add_command(compare)
main.add_command(learnable)
main.add_command(rules)

if __name__ == "__main__":
    main()
