"""The three classifiers of `learnable`, each trained and tested on the clips of a dataset."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sciu.models.backbones.tiny_lstm import TinyLstm
from sciu.tools.command import Progress
from sciu.tools.experiment.clips import Clips, augment, normalise

_BATCH = 32


def fit_linear(clips: Clips, seed: int) -> float:
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


def fit_network(clips: Clips, epochs: int, seed: int, label: str) -> float:
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
