"""`sciu-experiment`: grids of trainings and their tables, and measurements that the documentation quotes."""

from __future__ import annotations

import click

from sciu.tools.command import LazyGroup

_PLACES = {
    "compare": "compare:compare", "figures": "show.figures:figures", "learnable": "learnable:learnable",
    "run": "grid.run:run", "table": "show.table:table",
}  # fmt: skip
_COMMANDS = {name: f"{__name__}.{place}" for name, place in _PLACES.items()}


@click.group(
    cls=LazyGroup, places=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
def main() -> None:
    """Run grids of trainings, and repeat the measurements that the documentation quotes."""
