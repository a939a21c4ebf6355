"""The running average of a clip's probabilities: p <- .7 p + .3 P, once for each epoch in which the clip is scored.

It starts at zero, so that its sum shows how many scores are in it: .3 after one epoch, .66 after three, .97 after ten.
The loss pulls towards it (early-learning regularisation, Liu et al., 2020), and `auto` decides by it. It is kept for
every epoch, 14 bytes per clip at 7 classes, because the targets of a past epoch must be the same bytes when it is
trained again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sciu.purification.store.layout import blocks, load_running, save_running
from sciu.purification.store.records import Records
from sciu.purification.store.store import Transaction

KEPT = 0.7  # share of the old average when a score is added


def average(transaction: Transaction, records: Records, epoch: int, *, clips: int, classes: int) -> NDArray[np.float16]:
    """Add an epoch's scores to the averages as of its opening; store and return the averages after it."""
    running_KN = running_at(transaction, epoch, clips=clips, classes=classes)
    for number, span in blocks(clips):
        seen, scores = records.block(span)
        old, new = running_KN[:, span].astype(np.float32), scores.probs_KN.astype(np.float32)
        running_KN[:, span] = np.where(seen, KEPT * old + (1 - KEPT) * new, old)
        save_running(transaction, epoch + 1, number, running_KN[:, span])
    return running_KN


def running_at(transaction: Transaction, epoch: int, *, clips: int, classes: int) -> NDArray[np.float16]:
    """Return the averages as of the opening of an epoch, [K, N]."""
    running_KN = np.zeros((classes, clips), np.float16)
    if epoch > 1:
        for number, span in blocks(clips):
            running_KN[:, span] = load_running(transaction, epoch, number, span, classes)
    return running_KN


def normalised(running_KN: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return averages that sum to 1; NaN where a clip was never scored."""
    average_KN = running_KN.astype(np.float32)
    with np.errstate(invalid="ignore"):
        return average_KN / average_KN.sum(axis=0)
