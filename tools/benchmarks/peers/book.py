"""What the trainer is compared with: a training loop as the field's codes write it.

A map-style dataset that decodes with Pillow or PyAV and normalises to float32 in worker processes, a new DataLoader
in each epoch, an eager float32 step that reads its loss back, no purification.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from sciu.models.registry import build_backbone
from sciu.pipeline.feed.plan.plan import Plan
from sciu.tools.benchmarks.peers.clips import Clips, usual_batches


class AverageMeter:
    """Follows a value, as it is read back after each step."""

    def __init__(self) -> None:
        self.total, self.count = 0.0, 0

    def update(self, value: float, count: int) -> None:
        """Add a value."""
        self.total += value * count
        self.count += count


def mean(_ids: Tensor, losses: Tensor) -> Tensor:
    """Weigh all clips alike."""
    return losses.mean()


class ReferenceTrainer:
    """Train as the field's codes do."""

    def __init__(self, clips: Clips, backbone: str, device: torch.device) -> None:
        self.clips, self.device = clips, device
        self.labels = torch.from_numpy(clips.dataset.labels).long()
        network = build_backbone(backbone)
        width: int = network.embedding_size  # type: ignore[assignment] # a Module's attributes are typed as Modules
        self.network = nn.Sequential(network, nn.Linear(width, len(clips.dataset.classes))).to(device)
        self.optimiser = torch.optim.SGD(self.network.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)

    def train_epoch(self, plan: Plan, weigh: Callable[[Tensor, Tensor], Tensor] = mean) -> int:
        """Train on the clips of a plan, at its frames and crops, with weighed losses; return the clips' number."""
        losses, accuracy = AverageMeter(), AverageMeter()
        self.network.train()
        for images, clips in usual_batches(self.clips, plan):
            images, target = images.to(self.device), self.labels[clips].to(self.device)
            output = self.network(images)
            loss = weigh(clips, functional.cross_entropy(output, target, reduction="none"))
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            losses.update(loss.item(), len(images))
            accuracy.update((output.argmax(dim=1) == target).float().mean().item(), len(images))
        return losses.count
