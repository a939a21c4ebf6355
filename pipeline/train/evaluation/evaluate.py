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
class Predictions:
    """What the network says of the clips that could be read."""

    ids: NDArray[np.int64]
    probs: NDArray[np.float32]  # by clip and class
    weights: NDArray[np.float32]  # by clip; 1 without a weight head


@dataclass(frozen=True, eq=False)
class Evaluation(Predictions):
    """Predictions, and how they compare with the labels."""

    confusion: Confusion
    asked: int  # clips that were to be evaluated


def predict(
    step: Step,
    feed: Feed,
    planner: Planner,
    ids: NDArray[np.int64],
    *,
    views: int,
    ranks: Ranks,
    progress: Progress,
    stop: Stop | None = None,
) -> Predictions:
    """Predict clips, averaged over the views. Collective: each rank predicts its part."""
    dataset = planner.dataset
    sums_NC = torch.zeros((len(dataset), len(dataset.classes) + 2), device=step.device)
    step.network.eval()
    with step.average.in_place(), torch.no_grad(), step.autocast():
        for view in range(views):
            plan = planner.testing(ids, view, views)
            for number, batch in enumerate(Throughput(step.threads).timed(feed.batches(plan)), start=1):
                if len(batch):
                    sums_NC[batch.ids] += _outputs(step, batch.frames_BTHWC)
                progress(view * plan.steps + number, views * plan.steps, "")
                if stop is not None:
                    stop.check(ranks)
    step.network.train()
    ranks.sum_all([sums_NC])
    seen = sums_NC[:, -1].nonzero().squeeze(1)
    means_NC = (sums_NC[seen] / sums_NC[seen, -1:]).cpu().numpy()
    clips = seen.cpu().numpy()
    if not np.isfinite(means_NC).all():
        clip = int(clips[~np.isfinite(means_NC).all(axis=1)][0])
        raise TrainError(f"the network's outputs must be finite, but are not for clip {clip}. --amp off may help.")
    return Predictions(clips, means_NC[:, :-2], means_NC[:, -2])


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
    """Predict clips and compare them with their labels. Collective."""
    seen = predict(step, feed, planner, ids, views=views, ranks=ranks, progress=progress, stop=stop)
    if not len(seen.ids):
        raise TrainError(f"none of {len(ids)} clips can be read. `sciu-data check --decode` says why.")
    dataset = planner.dataset
    confusion = Confusion.of(dataset.labels[seen.ids], seen.probs.argmax(axis=1), len(dataset.classes))
    return Evaluation(seen.ids, seen.probs, seen.weights, confusion, len(ids))


def _outputs(step: Step, frames_BTHWC: Tensor) -> Tensor:
    """Return for each clip the probabilities, the weight, and 1, which counts the views."""
    output = step.network(step.pixels(frames_BTHWC))
    weight_B1 = output.weight_B.float()[:, None]
    return torch.cat([output.logits_BK.float().softmax(dim=1), weight_B1, torch.ones_like(weight_B1)], dim=1)
