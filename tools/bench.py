"""`python tools/bench.py`: measurements side by side in one run, as ratios, with the machine they were made on."""

from __future__ import annotations

import importlib

import click

from sciu.tools.command import Group

_BENCHES = {
    "dataset": "dataset", "feed": "feed", "gpu": "gpu.command", "models": "models", "purify": "purify", "step": "step",
    "train": "train",
}  # fmt: skip


class Benches(Group):
    """A group that imports a command only when it is used: one that only starts processes needs no torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        """Return the names of the commands."""
        return [*_BENCHES]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 - as click calls it
        """Import a command."""
        if name not in _BENCHES:
            return None
        command: click.Command = getattr(importlib.import_module(f"sciu.tools.benchmarks.{_BENCHES[name]}"), name)
        return command


@click.group(cls=Benches, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Measure ours and its peers in one run."""


if __name__ == "__main__":
    main()
