"""`learnable`: how much of a dataset one picture shows, and how much only the movement."""

from __future__ import annotations

from pathlib import Path

import click

from sciu.tools.command import json_option, print_json, print_table


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--epochs", type=click.IntRange(min=1), default=20, help="Train the networks for this many epochs.")
@click.option("--seed", type=int, default=0, help="Set the seed of all random numbers.")
@json_option
def learnable(data: Path, epochs: int, seed: int, as_json: bool) -> None:
    """Measure how much of a dataset can be learned from one picture, and how much only from the movement.

    It trains three classifiers on the training split of fold 1 and tests them on its test split: a linear one on the
    mean frame, a small CNN on the mean frame, and the small CNN with an LSTM over 16 frames.

    Example: sciu-experiment learnable data/synth --epochs 20
    """
    from sciu.pipeline.dataset import Dataset
    from sciu.tools.experiment.classifiers import fit_linear, fit_network
    from sciu.tools.experiment.clips import load_clips

    clips = load_clips(Dataset.load(data))
    rows = {"chance": clips.chance()}
    rows["linear, mean frame"] = fit_linear(clips, seed)
    rows["CNN, mean frame"] = fit_network(clips.still(), epochs, seed, "CNN")
    rows["CNN + LSTM, 16 frames"] = fit_network(clips, epochs, seed, "CNN + LSTM")
    if as_json:
        print_json(
            {"epochs": epochs, "seed": seed, "train": len(clips.train), "test": len(clips.test), "accuracy": rows}
        )
    else:
        print_table(["classifier", "test accuracy"], [[name, f"{accuracy:.1%}"] for name, accuracy in rows.items()])
