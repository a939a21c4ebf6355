"""Clips that a network was trained on, among those that it is to be tested on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.purification import Purifier
from sciu.purification.errors import PurifierError


def trained_on(run: RunFolder, dataset: Dataset, ids: NDArray[np.int64]) -> int:
    """Return how many of these clips a run trained on, by their paths; 0 if its store is not there to say."""
    try:
        with Purifier.open(run.store, read_only=True) as purifier:
            clips, lines = np.flatnonzero(purifier.states().given >= 0), purifier.lines
            known = {lines.path(clip) for clip in clips.tolist()}
    except (PurifierError, OSError):
        return 0
    return sum(str(dataset.path(clip)) in known for clip in ids.tolist())


def run_of(weights: Path) -> RunFolder | None:
    """Return the run that weights are of, given by its folder or one of its checkpoints; None if they are of none."""
    for folder in (weights, weights.absolute().parent.parent):
        if (run := RunFolder(folder)).card.is_file():
            return run
    return None
