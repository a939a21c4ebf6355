"""What the trainer is compared with: a training loop as the field's codes write it.

A map-style dataset that decodes with Pillow or decord and normalises to float32 in worker processes, a new DataLoader
in each epoch, an eager float32 step that reads its loss back, no purification.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from sciu.models.registry import build_backbone
from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.system.cores import cores
from sciu.pipeline.feed.plan.plan import Plan
from sciu.tools.benchmarks.feed_peers import Reader, UsualClips


class AverageMeter:
    """Follows a value, as it is read back after each step."""

    def __init__(self) -> None:
        self.total, self.count = 0.0, 0

    def update(self, value: float, count: int) -> None:
        """Add a value."""
        self.total += value * count
        self.count += count


class ReferenceTrainer:
    """Train as the field's codes do."""

    def __init__(self, dataset: Dataset, backbone: str, read: Reader, batch_size: int, device: torch.device) -> None:
        self.dataset, self.read, self.batch_size, self.device = dataset, read, batch_size, device
        self.labels = torch.from_numpy(dataset.labels).long()
        network = build_backbone(backbone)
        width: int = network.embedding_size  # type: ignore[assignment] # a Module's attributes are typed as Modules
        self.network = nn.Sequential(network, nn.Linear(width, len(dataset.classes))).to(device)
        self.optimiser = torch.optim.SGD(self.network.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)

    def train_epoch(self, plan: Plan) -> int:
        """Train on the clips of a plan, at its frames and crops; return their number."""
        losses, accuracy = AverageMeter(), AverageMeter()
        clips = UsualClips(self.dataset, plan.samples, plan.size, self.read)
        loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
            clips, self.batch_size, shuffle=True, num_workers=cores(), pin_memory=self.device.type == "cuda",  # type: ignore[arg-type]
        )  # fmt: skip
        self.network.train()
        for images, clip in loader:
            images, target = images.to(self.device), self.labels[clip].to(self.device)
            output = self.network(images)
            loss = functional.cross_entropy(output, target)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            losses.update(loss.item(), len(images))
            accuracy.update((output.argmax(dim=1) == target).float().mean().item(), len(images))
        return losses.count
