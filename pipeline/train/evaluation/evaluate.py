"""Evaluate the network on clips that it does not train on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sciu.pipeline.feed.feed import Feed
from sciu.pipeline.feed.plan.plan import Planner
from sciu.pipeline.train.errors import TrainError
from sciu.pipeline.train.evaluation.confusion import Confusion
from sciu.pipeline.train.job.ranks import Ranks
from sciu.pipeline.train.job.stopping import Stop
from sciu.pipeline.train.step.step import Step
from sciu.pipeline.train.step.throughput import Throughput

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Probabilities of the clips that could be read, and how they compare with the labels."""

    ids: NDArray[np.int64]
    probs: NDArray[np.float32]
    confusion: Confusion
    asked: int  # clips that were to be evaluated


def evaluate(
    step: Step,
    feed: Feed,
    planner: Planner,
    ids: NDArray[np.int64],
    *,
    views: int,
    ranks: Ranks,
    progress: Progress,
    stop: Stop | None = None,
) -> Evaluation:
    """Evaluate clips, averaged over the views. Collective: each rank evaluates its part."""
    dataset = planner.dataset
    probs_NK = torch.zeros((len(dataset), len(dataset.classes)), device=step.device)
    views_N = torch.zeros(len(dataset), device=step.device)
    step.network.eval()
    with step.average.in_place(), torch.no_grad(), step.autocast():
        for view in range(views):
            plan = planner.testing(ids, view, views)
            for number, batch in enumerate(Throughput().timed(feed.batches(plan)), start=1):
                if len(batch):
                    probs_NK[batch.ids] += _probabilities(step, batch.frames_BTHWC)
                    views_N[batch.ids] += 1
                progress(view * plan.steps + number, views * plan.steps, "")
                if stop is not None:
                    stop.check(ranks)
    step.network.train()
    ranks.sum_all([probs_NK, views_N])
    seen = views_N.nonzero().squeeze(1)
    probs = (probs_NK[seen] / views_N[seen, None]).cpu().numpy()
    clips = seen.cpu().numpy()
    if not len(clips):
        raise TrainError(f"none of {len(ids)} clips can be read. `sciu-data check --decode` says why.")
    if not np.isfinite(probs).all():
        clip = int(clips[~np.isfinite(probs).all(axis=1)][0])
        raise TrainError(f"the network's outputs must be finite, but are not for clip {clip}. --amp off may help.")
    confusion = Confusion.of(dataset.labels[clips], probs.argmax(axis=1), len(dataset.classes))
    return Evaluation(clips, probs, confusion, len(ids))


def _probabilities(step: Step, frames_BTHWC: Tensor) -> Tensor:
    output = step.network(step.pixels(frames_BTHWC))
    probabilities: Tensor = output.logits_BK.float().softmax(dim=1)
    return probabilities
