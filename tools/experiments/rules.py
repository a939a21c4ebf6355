"""`rules`: what the purifier's rules find of planted faults, and what it wins."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sciu.models.backbones.tiny_lstm import TinyLstm
from sciu.models.losses.cross_entropy import weighted_cross_entropy
from sciu.models.sciu_model import SciuModel
from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.dataset import TRUTH
from sciu.pipeline.train.detection import Truth, detection, read_truth
from sciu.purification import Keep, Purifier, Sciu
from sciu.purification.policy import Policy
from sciu.tools.command import Progress, json_option, print_json, print_table
from sciu.tools.experiments.clips import Clips, augment, load_clips, normalise

_BATCH = 32


def _policies(warmup: int) -> dict[str, Policy]:
    """Return the rules to compare: the paper's settings, lower lambdas, and what follows the data."""
    settings: dict[str, dict[str, Any]] = {
        "FERV39k's: .7 .2": {"prune_below": 0.7, "correct_above": 0.2},
        "DFEW's: .6 .4": {"prune_below": 0.6, "correct_above": 0.4, "window": 2},
        ".5 .4": {"prune_below": 0.5, "correct_above": 0.4},
        ".3 .4": {"prune_below": 0.3, "correct_above": 0.4},
        "auto auto": {"prune_below": "auto", "correct_above": "auto"},
        "correction only, auto": {"prune_below": None, "correct_above": "auto"},
    }
    return {"none": Keep(), **{name: Sciu(**values, warmup=warmup) for name, values in settings.items()}}


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--epochs", type=click.IntRange(min=1), default=30)
@click.option("--warmup", type=click.IntRange(min=0), default=12)
@click.option("--seed", type=int, default=0)
@click.option("--only", help="Only the rule of this name.")
@json_option
def rules(data: Path, epochs: int, warmup: int, seed: int, only: str | None, as_json: bool) -> None:
    """Train the small network with each rule on faces whose faults are known, and compare what was found and won.

    Everything is the last epoch's: nothing is chosen on the test split.

    Example: sciu-experiment rules data/synth --epochs 30 --warmup 12
    """
    dataset = Dataset.load(data)
    clips, truth = load_clips(dataset), _required_truth(dataset)
    found = {
        name: _train(clips, truth, policy, epochs, seed, name)
        for name, policy in _policies(warmup).items()
        if only in (None, name)
    }
    if as_json:
        print_json({"epochs": epochs, "warmup": warmup, "seed": seed, "rules": found})
    else:
        print_table(["rule", *next(iter(found.values()))], [[name, *row.values()] for name, row in found.items()])


def _required_truth(dataset: Dataset) -> Truth:
    if (truth := read_truth(dataset)) is None:
        path = dataset.folder / TRUTH
        raise DatasetError(f"'{path}' must say what was planted, but is not there. `sciu-data synth` writes one.")
    return truth


def _train(clips: Clips, truth: Truth, policy: Policy, epochs: int, seed: int, name: str) -> dict[str, Any]:
    """Train with one rule. Rows of `clips` are the purifier's clip ids."""
    torch.manual_seed(seed)
    model = SciuModel(TinyLstm(), clips.classes)
    steps = epochs * -(-len(clips.train) // _BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    labels = np.full(len(clips.ids), -1, np.int16)
    labels[clips.train] = clips.labels_N[clips.train]
    progress = Progress(name)
    with tempfile.TemporaryDirectory() as folder, Purifier.create(
        folder, labels=labels, num_classes=clips.classes, policy=policy
    ) as purifier:  # fmt: skip
        index = purifier.index()
        for epoch in range(epochs):
            model.train()
            now = torch.from_numpy(index.labels).long()
            ids = torch.from_numpy(index.ids)
            for batch in ids[torch.randperm(len(ids))].split(_BATCH):
                output = model(augment(clips.frames_NTCHW[batch]))
                loss = weighted_cross_entropy(output.logits_BK, output.weight_B, now[batch]).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                purifier.record(batch, output.weight_B.detach(), output.logits_BK.detach().softmax(dim=1))
            index = purifier.end_epoch()
            progress(epoch + 1, epochs)
        found = _detection(clips, truth, index.labels, labels)
    return {**found, **_accuracy(model, clips)}


def _detection(
    clips: Clips, truth: Truth, now: NDArray[np.int16], given: NDArray[np.int16]
) -> dict[str, str | float | int | None]:
    """Hold the last index against what was planted."""
    train, pruned = clips.train.numpy(), (now < 0) & (given >= 0)
    here = Truth(truth.label[clips.ids], truth.low_quality[clips.ids])
    found = detection(here, train, given, now, pruned)
    return {
        "pruned": int(pruned.sum()),
        "low quality P/R": _precision_recall(found["low_quality"]),
        "corrected": int(((now >= 0) & (now != given)).sum()),
        "wrong label P/R": _precision_recall(found["wrong_label"]),
        "labels right before": found["label_accuracy_before"],
        "labels right after": found["label_accuracy_after"],
    }


def _precision_recall(scores: dict[str, float | None]) -> str:
    return "/".join("-" if scores[name] is None else f"{scores[name]:.2f}" for name in ("precision", "recall"))


def _accuracy(model: nn.Module, clips: Clips) -> dict[str, float]:
    model.eval()
    with torch.inference_mode():
        logits = torch.cat(
            [model(normalise(clips.frames_NTCHW[batch])).logits_BK for batch in clips.test.split(_BATCH)]
        )
    right = logits.argmax(dim=1) == clips.labels_N[clips.test]
    recalls = [right[clips.labels_N[clips.test] == k].float().mean() for k in clips.labels_N[clips.test].unique()]
    return {"WAR": round(right.float().mean().item(), 3), "UAR": round(torch.stack(recalls).mean().item(), 3)}
