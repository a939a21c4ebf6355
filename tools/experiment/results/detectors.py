"""Detectors of wrong labels: a training's averages, its margins, and five trainings that judge unseen clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.errors import SettingError
from sciu.pipeline.train.evaluation.detection import scores
from sciu.purification import Purifier
from sciu.purification.store.running_average import KEPT, running_at
from sciu.tools.experiment.grid.spec import PARTS
from sciu.tools.experiment.results.read import Result

_GROWN = 0.99  # sum of an average after thirteen epochs; a smaller one that did not change was not scored

Floats = NDArray[np.float32]
Arrays = Mapping[str, NDArray[Any]]
Found = dict[str, float | None]


def mean_margins(purifier: Purifier) -> Floats:
    """Return for each clip how far its given label was ahead of every other class, on average over all epochs.

    AUM (Pleiss et al., 2020), but of probabilities, which the store has, in the place of logits. The scores of an
    epoch follow from the averages before and after it.
    """
    given, clips = np.maximum(purifier.states().given, 0), np.arange(purifier.clips)
    sums, epochs = np.zeros(purifier.clips), np.zeros(purifier.clips)
    before = np.zeros((purifier.num_classes, purifier.clips), np.float32)
    for epoch in range(2, purifier.epoch + 1):
        listed = purifier.index_at(epoch - 1).ids
        with purifier.store.reading() as transaction:
            running_KN = running_at(transaction, epoch, clips=purifier.clips, classes=purifier.num_classes)
        after = running_KN.astype(np.float32)
        seen = (after != before).any(axis=0)
        seen[listed] |= after[:, listed].sum(axis=0) > _GROWN  # an average at its limit does not change
        probs_KN = (after - KEPT * before) / (1 - KEPT)
        own = probs_KN[given, clips]
        probs_KN[given, clips] = -1
        sums += np.where(seen, own - probs_KN.max(axis=0), 0)
        epochs += seen
        before = after
    return (sums / np.maximum(epochs, 1)).astype(np.float32)


def by_margins(run: Result) -> Found | None:
    """Score the detector that doubts labels with a negative margin; None without a truth or margins."""
    arrays = run.arrays()
    return _compared_with_truth(arrays["margin"] < 0, arrays) if {"margin", "true"} <= arrays.keys() else None


def by_confident_learning(parts: Sequence[Result]) -> Found | None:
    """Score cleanlab on clips that the networks never trained on; None without a truth or with parts missing."""
    arrays = [run.arrays() for run in parts]
    if sorted(run.content["part"] for run in parts) != list(range(1, PARTS + 1)):
        return None
    if any("unseen_true" not in each for each in arrays):
        return None
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        raise SettingError("five parts need cleanlab, which is not installed: pip install 'sciu[compare]'.") from None
    joined = {
        name: np.concatenate([each[f"unseen_{name}"] for each in arrays])
        for name in ("given", "true", "unusable", "probs")
    }
    doubted = find_label_issues(joined["given"], joined["probs"], n_jobs=1)  # its processes would take our signals
    return _compared_with_truth(doubted, joined)


def _compared_with_truth(doubted: NDArray[np.bool_], arrays: Arrays) -> Found:
    judged = (arrays["true"] >= 0) & ~arrays["unusable"]
    return scores(doubted[judged], (arrays["true"] != arrays["given"])[judged])
