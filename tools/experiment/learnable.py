"""`learnable`: how much of a dataset one picture shows, and how much only the movement."""

from __future__ import annotations

from pathlib import Path

import click
import torch
from torch import Tensor, nn

from sciu.models.backbones.tiny_lstm import TinyLstm
from sciu.pipeline.dataset import Dataset
from sciu.tools.command import Progress, json_option, print_json, print_table
from sciu.tools.experiment.clips import Clips, augment, load_clips, normalise

_BATCH = 32


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
    clips = load_clips(Dataset.load(data))
    rows = {"chance": clips.chance()}
    rows["linear, mean frame"] = _fit_linear(clips, seed)
    rows["CNN, mean frame"] = _fit_network(clips.still(), epochs, seed, "CNN")
    rows["CNN + LSTM, 16 frames"] = _fit_network(clips, epochs, seed, "CNN + LSTM")
    if as_json:
        print_json(
            {"epochs": epochs, "seed": seed, "train": len(clips.train), "test": len(clips.test), "accuracy": rows}
        )
    else:
        print_table(["classifier", "test accuracy"], [[name, f"{accuracy:.1%}"] for name, accuracy in rows.items()])


def _fit_linear(clips: Clips, seed: int) -> float:
    """Fit multinomial regressions to the mean frame, with four strengths of decay; the best on the test split counts.

    Choosing by the test split favours the linear classifier: it can score no more than this.
    """
    pixels_ND = clips.still().frames_NTCHW.flatten(1).float() / 255
    pixels_ND = pixels_ND - pixels_ND[clips.train].mean(dim=0)
    return max(_regress(pixels_ND, clips, decay, seed) for decay in (1e-3, 1e-2, 1e-1, 1.0))


def _regress(pixels_ND: Tensor, clips: Clips, decay: float, seed: int) -> float:
    torch.manual_seed(seed)
    linear = nn.Linear(pixels_ND.shape[1], clips.classes)
    optimizer = torch.optim.AdamW(linear.parameters(), lr=1e-3, weight_decay=decay)
    for _ in range(200):
        loss = nn.functional.cross_entropy(linear(pixels_ND[clips.train]), clips.labels_N[clips.train])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return _accuracy(linear(pixels_ND[clips.test]), clips)


def _fit_network(clips: Clips, epochs: int, seed: int, label: str) -> float:
    """Train the small network; return the accuracy of the last epoch."""
    torch.manual_seed(seed)
    network = nn.Sequential(TinyLstm(), nn.Linear(TinyLstm.embedding_size, clips.classes))
    steps = epochs * -(-len(clips.train) // _BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    progress = Progress(label)
    for epoch in range(epochs):
        network.train()
        for batch in clips.train[torch.randperm(len(clips.train))].split(_BATCH):
            loss = nn.functional.cross_entropy(network(augment(clips.frames_NTCHW[batch])), clips.labels_N[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        progress(epoch + 1, epochs)
    network.eval()
    with torch.inference_mode():
        logits = [network(normalise(clips.frames_NTCHW[batch])) for batch in clips.test.split(_BATCH)]
    return _accuracy(torch.cat(logits), clips)


def _accuracy(logits_NK: Tensor, clips: Clips) -> float:
    return (logits_NK.argmax(dim=1) == clips.labels_N[clips.test]).float().mean().item()
