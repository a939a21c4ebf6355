"""Run any command as `python -m sciu.tools COMMAND`, for where the scripts are not on the path."""

from __future__ import annotations

import click

from sciu.tools.command import LazyGroup

PLACES = {
    "data": "data", "train": "train", "purify": "purify", "report": "report", "review": "review",
    "eval": "network.evaluate", "predict": "network.predict", "export": "network.export",
    "experiment": "experiment", "doctor": "doctor",
}  # fmt: skip
_COMMANDS = {name: f"sciu.tools.{place}:main" for name, place in PLACES.items()}


@click.group(cls=LazyGroup, places=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Train on noisy clips, clean them while training, and inspect what was decided."""


if __name__ == "__main__":
    main(prog_name="python -m sciu.tools")
