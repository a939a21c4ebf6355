"""`python tools/bench.py`: measurements side by side in one run, as ratios, with the machine they were made on."""

from __future__ import annotations

import click

from sciu.tools.command import LazyGroup

_BENCHES = {
    name: f"sciu.tools.benchmarks.{'gpu.command' if name == 'gpu' else name}:{name}"
    for name in ("dataset", "feed", "gpu", "models", "purify", "shared", "step", "train")
}


@click.group(
    cls=LazyGroup, places=_BENCHES, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
def main() -> None:
    """Measure ours and its peers in one run."""


if __name__ == "__main__":
    main()
