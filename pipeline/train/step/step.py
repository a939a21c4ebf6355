"""The step: frames -> loss -> weights, and scores by clip id. Nothing in it waits for the device.

Batches may be accumulated: a group of them changes the weights once, as one batch of all of their clips would.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sciu.models.sciu_model import Output
from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.train.job.cores import ComputeThreads
from sciu.pipeline.train.job.ranks import Ranks
from sciu.pipeline.train.step.average import Average
from sciu.pipeline.train.step.clip_tensors import ClipTensors
from sciu.pipeline.train.step.cuda_graph import CapturedStep
from sciu.pipeline.train.step.objectives import Objective
from sciu.pipeline.train.step.optimiser import lr_of, state_of
from sciu.pipeline.train.step.snapshot import unchanged_after
from sciu.purification.index import Targets

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet, which pretrained networks expect
_AMP = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Pixels(nn.Module):
    """Convert bytes to what networks expect, [B, T, 3, H, W]; colours stay innermost in memory."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.mean, self.std = torch.tensor(MEAN, device=device), torch.tensor(STD, device=device)

    def forward(self, frames_BTHWC: Tensor) -> Tensor:
        """Cast and normalise, in rows of pixels: three colours are too few for vector instructions."""
        W = frames_BTHWC.shape[3]
        rows_BTHX = (
            frames_BTHWC.flatten(3).to(torch.float32, copy=True).sub_(self.mean.repeat(W)).div_(self.std.repeat(W))
        )
        return rows_BTHX.view(frames_BTHWC.shape).permute(0, 1, 4, 2, 3)


class _Group:
    """The batches whose gradients are accumulated."""

    def __init__(self, device: torch.device) -> None:
        self.batches = self.clips = 0
        self.learnt = torch.zeros((), dtype=torch.int64, device=device)

    def clear(self) -> None:
        """Begin another group."""
        self.clips = 0
        self.learnt.zero_()


@dataclass(kw_only=True, eq=False)
class Step:
    """Trains a network on one batch after the other."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    objective: Objective
    clip_tensors: ClipTensors
    average: Average
    amp: str = "off"
    clip_gradients: float = 0.0
    accumulate: int = 1  # batches of a group
    batch_size: int = 1  # on each rank; only the magnitude of gradients that are being accumulated depends on it
    weighted_scores: bool = False
    ranks: Ranks = field(default_factory=Ranks)
    threads: ComputeThreads | None = None  # None: their number stays
    forward: Callable[[Tensor], Output] | None = None  # the network compiled, for batches of the usual size
    usual_size: int = 0

    def __post_init__(self) -> None:
        self.device = self.clip_tensors.labels_N.device
        self.pixels = Pixels(self.device)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.amp == "fp16")
        self._weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        self._learning = self._weights  # those that the loss depends on, once that is known
        self._lr = lr_of(self.optimiser)
        self._no_clip = torch.tensor([self.clip_tensors.nobody], device=self.device)
        self._replay: CapturedStep | None = None
        self._group = _Group(self.device)

    def prepare(self, batch_size: int, shape_THW: tuple[int, int, int], *, graph: bool) -> None:
        """Compile, capture, and find errors before the training; this changes nothing."""
        self.usual_size = batch_size
        frames_BTHWC = torch.zeros((batch_size, *shape_THW, 3), dtype=torch.uint8, device=self.device)
        batch = ClipBatch(self._no_clip.expand(batch_size).clone(), frames_BTHWC)
        with unchanged_after(self):
            if graph:
                self._replay = CapturedStep(self.learn, batch)
            self.learn(batch.ids, batch.frames_BTHWC)
        self._learning = [weight for weight in self._weights if weight.grad is not None]

    @property
    def input(self) -> ClipBatch | None:
        """The batch that a captured step reads; None if the step is not captured."""
        return self._replay.input if self._replay else None

    def close(self) -> None:
        """Release the graph, and wait for it: ranks that leave their group with a graph alive would hang."""
        self._replay = None
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def begin(self, labels: NDArray[np.int16], targets: Targets | None = None, *, seed: int | None) -> None:
        """Begin an epoch with its labels and targets, or resume one: then without a seed."""
        self.clip_tensors.take(labels, targets)
        self._group.batches = 0
        if seed is not None:
            self.clip_tensors.clear()
            torch.manual_seed(seed)

    def __call__(self, batch: ClipBatch, lr: float, *, update: bool = True) -> None:
        """Train on a batch with a learning rate; `update` says whether its group is complete."""
        if self.accumulate > 1:
            self._accumulate(batch, lr, update=update)
            return
        self._lr.fill_(lr)
        if len(batch):
            if self._replay is not None and len(batch) == self.usual_size:
                self._replay(batch)
            else:
                self.learn(batch.ids, batch.frames_BTHWC)
        elif self.ranks.world > 1:
            self._step_without_clips(batch)

    def learn(self, ids_B: Tensor, frames_BTHWC: Tensor) -> None:
        """Train on a batch: all that a CUDA graph captures."""
        self.optimiser.zero_grad(set_to_none=True)
        labels_B, output, losses_B = self._look(ids_B, frames_BTHWC)
        learnt = self.ranks.sum((labels_B >= 0).sum())
        self.scaler.scale(losses_B.sum() / learnt.clamp_min(1)).backward()
        self._update_weights()
        self._record(ids_B, labels_B, output, losses_B.detach())

    def _look(self, ids_B: Tensor, frames_BTHWC: Tensor) -> tuple[Tensor, Output, Tensor]:
        """Return the labels of a batch, what the network says of it, and the loss of each clip."""
        targets = self.clip_tensors.batch_targets(ids_B)
        labels_B = targets.labels_B
        output = self._predict(frames_BTHWC)
        losses_B = self.objective(output, targets) * self.clip_tensors.class_weight_K[labels_B.clamp_min(0)]
        return labels_B, output, losses_B

    def _accumulate(self, batch: ClipBatch, lr: float, *, update: bool) -> None:
        """Add a batch's gradients to those of its group; with the last one take the step, at the first one's rate.

        How many clips a group learns from is known at its end: until then losses are divided by the usual number, for
        gradients of the usual magnitude, in which fp16 does not overflow.
        """
        group = self._group
        if not group.batches:
            self.optimiser.zero_grad(set_to_none=True)
            self._lr.fill_(lr)
            group.clear()
        group.batches += 1
        group.clips += len(batch)
        if len(batch) or self._synchronises():
            ids_B, frames_BTHWC = (batch.ids, batch.frames_BTHWC) if len(batch) else self._nobody(batch)
            labels_B, output, losses_B = self._look(ids_B, frames_BTHWC)
            self.scaler.scale(losses_B.sum() / self._usual_clips).backward()
            group.learnt += (labels_B >= 0).sum()
            self._record(ids_B, labels_B, output, losses_B.detach())
        else:
            self.clip_tensors.step += 1
        if update:
            group.batches = 0
            if group.clips or self.ranks.world > 1:
                self._update_by_group()

    @property
    def _usual_clips(self) -> int:
        """The clips of a whole group on all ranks."""
        return self.batch_size * self.accumulate * self.ranks.world

    def _update_by_group(self) -> None:
        """Take the step of a group whose losses were divided by something else than the clips that it learnt from."""
        for weight in self._learning:
            weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
        learnt = self.ranks.sum(self._group.learnt)
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        torch._foreach_mul_(gradients, self._usual_clips / learnt.clamp_min(1))
        self._update_weights()

    def _synchronises(self) -> bool:
        """Return whether the other ranks wait for this one's statistics."""
        return any(isinstance(module, nn.SyncBatchNorm) for module in self.network.modules())

    def _nobody(self, batch: ClipBatch) -> tuple[Tensor, Tensor]:
        """Return a batch of a clip that does not exist, in the shape of one of no clips."""
        shape = (1, *batch.frames_BTHWC.shape[1:])
        return self._no_clip, torch.zeros(shape, dtype=torch.uint8, device=self.device)

    def _predict(self, frames_BTHWC: Tensor) -> Output:
        forward: Callable[[Tensor], Output] = self.network
        if self.forward is not None and len(frames_BTHWC) == self.usual_size:
            forward = self.forward
        with self.autocast():
            return forward(self.pixels(frames_BTHWC))

    def _step_without_clips(self, batch: ClipBatch) -> None:
        """Take part without clips: the other ranks wait for this one's gradients; with SyncBN, for its statistics."""
        if self._synchronises():
            self.learn(*self._nobody(batch))
            return
        for weight in self._learning:
            weight.grad = torch.zeros_like(weight)
        self.ranks.sum(torch.zeros((), dtype=torch.int64, device=self.device))
        self._update_weights()
        self.clip_tensors.step += 1

    def _update_weights(self) -> None:
        """Take the optimiser's step; the fused optimiser itself skips one whose fp16 gradients overflow."""
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        self.ranks.sum_all(gradients)
        if self.clip_gradients:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self._weights, self.clip_gradients)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.average.follow()

    @torch.no_grad()
    def _record(self, ids_B: Tensor, labels_B: Tensor, output: Output, losses_B: Tensor) -> None:
        logits_BK, weight_B = output.logits_BK.detach().float(), output.weight_B.detach().float()
        scaled_BK = logits_BK * weight_B[:, None] if self.weighted_scores else logits_BK
        self.clip_tensors.write(ids_B, weight_B, scaled_BK.softmax(dim=1))
        self.clip_tensors.count(losses_B, logits_BK.argmax(dim=1) == labels_B, labels_B)

    def autocast(self) -> AbstractContextManager[None]:
        """Compute in the chosen precision, without a cache of cast weights, which a CUDA graph would keep for ever."""
        kind = _AMP.get(self.amp, torch.bfloat16)
        return torch.autocast(self.device.type, kind, enabled=self.amp in _AMP, cache_enabled=False)

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Return the tensors that the step changes, uncopied: a checkpoint stores, `unchanged_after` restores them."""
        return {
            "model": dict(self.network.state_dict(keep_vars=False)),
            "average": self.average.tensors(),
            "optimiser": state_of(self.optimiser),
            "board": self.clip_tensors.tensors(),  # its name in checkpoints
        }
