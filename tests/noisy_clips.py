"""A training that never was: scores of clips of which some are unusable and some mislabelled, the same for each epoch.

As a program it records epochs into a store until it is stopped, and says on stdout which are acknowledged.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciu.purification import EpochIndex, Purifier, Sciu

CLASSES = 3
NAMES = ("Happy", "Sad", "Fear")
CLIPS = 120
POLICY = Sciu(prune_below=0.5, correct_above=0.2, window=2, warmup=3, revive_every=4)
_rng = np.random.default_rng(0)
TRUE = _rng.integers(0, CLASSES, CLIPS)
WRONG = _rng.random(CLIPS) < 0.2
UNUSABLE = _rng.random(CLIPS) < 0.2
GIVEN = np.where(WRONG, (TRUE + 1) % CLASSES, TRUE).astype(np.int16)
PATHS = [f"Clip/{clip:05d}.mp4" for clip in range(CLIPS)]


def scores(epoch: int, ids: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights and probabilities: sure of the true class, but for unusable clips."""
    rng = np.random.default_rng(epoch)
    logits = rng.normal(size=(CLIPS, CLASSES))
    logits[np.arange(CLIPS), TRUE] += 4
    logits[UNUSABLE] *= 0.1
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.where(UNUSABLE, 0.5, 0.95)[ids], probs[ids]


def begin(folder: Path, **settings: object) -> Purifier:
    """Create a store of these clips."""
    given = {"labels": GIVEN, "num_classes": CLASSES, "policy": POLICY, "paths": PATHS, "class_names": NAMES}
    return Purifier.create(folder, **{**given, **settings})  # type: ignore[arg-type]


def one_epoch(purifier: Purifier) -> EpochIndex:
    """Record and end an epoch."""
    ids = purifier.index().ids
    purifier.record(ids, *scores(purifier.epoch, ids))
    return purifier.end_epoch()


def main(run: Path) -> None:
    """Record without end."""
    store = run / "purifier"
    try:
        purifier = Purifier.open(store)
    except ValueError:
        purifier = begin(store)
    with purifier:
        for _ in count():
            index = one_epoch(purifier)
            print(index.epoch, flush=True)
            index.write(run / "index")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
