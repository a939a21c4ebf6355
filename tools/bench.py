"""`python tools/bench.py`: measurements side by side in one run, as ratios, with the machine they were made on."""

from __future__ import annotations

import click

from sciu.tools.command import LazyGroup

_PLACES = {
    "all": "whole.command:every_bench", "dataset": "dataset:dataset", "epochs": "training.epochs:epochs",
    "feed": "feed:feed", "gpu": "gpu.command:gpu", "models": "models:models", "pause": "training.pause:pause",
    "purify": "purify:purify", "scale": "training.scale:scale", "shared": "training.shared:shared",
    "startup": "startup:startup", "step": "step:step", "train": "training.train:train",
}  # fmt: skip
_BENCHES = {name: f"sciu.tools.benchmarks.{place}" for name, place in _PLACES.items()}


@click.group(
    cls=LazyGroup, places=_BENCHES, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
def main() -> None:
    """Measure ours and its peers in one run."""


if __name__ == "__main__":
    main()
