"""`sciu-experiment`: measurements that the documentation quotes, each repeatable by one command."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn

from sciu.models.backbones.tiny_lstm import TinyLstm
from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.workers import cores
from sciu.tools.command import Group, Progress, json_option, print_json, print_table

FRAMES = 16
_BATCH = 32


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Repeat the measurements that the documentation quotes."""


@main.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--epochs", type=click.IntRange(min=1), default=20, help="Epochs of the networks.")
@click.option("--seed", type=int, default=0)
@json_option
def learnable(data: Path, epochs: int, seed: int, as_json: bool) -> None:
    """How much of a dataset can be read from one picture, and how much only from the movement.

    Three classifiers, trained on the training split of fold 1 and tested on its test split: a linear one on the mean
    frame, a small CNN on the mean frame, and the small CNN with an LSTM over 16 frames.

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


@dataclass(frozen=True)
class Clips:
    """A whole dataset in memory."""

    frames_NTCHW: Tensor  # uint8
    labels_N: Tensor
    train: Tensor
    test: Tensor
    classes: int

    def still(self) -> Clips:
        """The same clips, each reduced to its mean frame."""
        mean = torch.stack([clip.float().mean(dim=0, keepdim=True).byte() for clip in self.frames_NTCHW])
        return Clips(mean, self.labels_N, self.train, self.test, self.classes)

    def chance(self) -> float:
        """The accuracy of always naming the test split's largest class."""
        return self.labels_N[self.test].bincount().max().item() / len(self.test)


def load_clips(dataset: Dataset) -> Clips:
    """Decode 16 frames of every clip that can be fed."""
    train, test = dataset.ids("train"), dataset.ids("test")
    if not len(train) or not len(test):
        raise DatasetError(
            f"dataset '{dataset.name}' must have clips to train and to test, but has {len(train)} and {len(test)}."
        )
    ids = np.union1d(train, test)
    if len(sizes := np.unique(np.stack([dataset.clips.width[ids], dataset.clips.height[ids]]), axis=1).T) > 1:
        raise DatasetError(f"clips must be of one size, but are of {len(sizes)}. `sciu-data pack` makes them so.")
    progress = Progress("decode")

    def decode(clip: int) -> Tensor:
        frames = int(dataset.clips.frames[clip])
        centres = (2 * np.arange(FRAMES) + 1) * frames // (2 * FRAMES)  # short clips repeat frames evenly
        numbers, places = np.unique(centres, return_inverse=True)
        return torch.from_numpy(np.stack(dataset.read(clip, numbers.tolist()))[places]).permute(0, 3, 1, 2)

    with ThreadPoolExecutor(cores()) as pool:
        clips = []
        for frames in pool.map(decode, ids.tolist()):
            clips.append(frames)
            progress(len(clips), len(ids))
    row = {clip: number for number, clip in enumerate(ids.tolist())}
    return Clips(
        torch.stack(clips),
        torch.from_numpy(dataset.labels[ids].astype(np.int64)),
        torch.tensor([row[clip] for clip in train.tolist()]),
        torch.tensor([row[clip] for clip in test.tolist()]),
        len(dataset.classes),
    )


def _fit_linear(clips: Clips, seed: int) -> float:
    """Fit multinomial regressions to the mean frame, with four strengths of decay; the best on the test split counts.

    Choosing by the test split favours the linear one: what it scores here is the most it can.
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
    """Train the small network; the last epoch counts."""
    torch.manual_seed(seed)
    network = nn.Sequential(TinyLstm(), nn.Linear(TinyLstm.embedding_size, clips.classes))
    steps = epochs * -(-len(clips.train) // _BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    progress = Progress(label)
    for epoch in range(epochs):
        network.train()
        for batch in clips.train[torch.randperm(len(clips.train))].split(_BATCH):
            loss = nn.functional.cross_entropy(network(_augment(clips.frames_NTCHW[batch])), clips.labels_N[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        progress(epoch + 1, epochs)
    network.eval()
    with torch.inference_mode():
        logits = [network(_normalise(clips.frames_NTCHW[batch])) for batch in clips.test.split(_BATCH)]
    return _accuracy(torch.cat(logits), clips)


def _augment(frames_BTCHW: Tensor) -> Tensor:
    """Flip half of the batches and shift each by up to a sixteenth of its width, the same for all frames."""
    reach = frames_BTCHW.shape[-1] // 16
    shift = torch.randint(-reach, reach + 1, (2,)).tolist()
    shifted = torch.roll(_normalise(frames_BTCHW), shift, dims=(-2, -1))
    return shifted.flip(-1) if torch.rand(()) < 0.5 else shifted


def _normalise(frames_BTCHW: Tensor) -> Tensor:
    return frames_BTCHW.float() / 255 - 0.5


def _accuracy(logits_NK: Tensor, clips: Clips) -> float:
    return (logits_NK.argmax(dim=1) == clips.labels_N[clips.test]).float().mean().item()


if __name__ == "__main__":
    main()
