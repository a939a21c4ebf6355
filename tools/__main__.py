"""Run any command as `python -m sciu.tools COMMAND`, for where the scripts are not on the path."""

from __future__ import annotations

import click

from sciu.tools.command import LazyGroup

_COMMANDS = {
    name: f"sciu.tools.{name}:main"
    for name in ("data", "train", "purify", "eval", "predict", "report", "experiment", "doctor")
}


@click.group(cls=LazyGroup, places=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Train on noisy clips, clean them while training, and inspect what was decided."""


if __name__ == "__main__":
    main(prog_name="python -m sciu.tools")
