"""The score ring: the last window + 1 scores of every clip, and the evidence in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sciu.purification.clip_state import ClipStates
from sciu.purification.errors import DamagedError
from sciu.purification.store.evidence import Evidence, weigh
from sciu.purification.store.layout import blocks, load_plane, save_plane
from sciu.purification.store.records import Records
from sciu.purification.store.score_plane import Plane
from sciu.purification.store.store import Transaction


def add_and_weigh(
    transaction: Transaction, states: ClipStates, records: Records, epoch: int, *, window: int, weighted: bool
) -> Evidence:
    """Add an epoch's scores to the ring, block by block, and weigh every clip's scores."""
    planes, parts = window + 1, []
    for number, span in blocks(len(states)):
        seen, scores = records.block(span)
        ring = [load_plane(transaction, plane, number, span, len(scores.probs_KN)) for plane in range(planes)]
        touched = {plane for plane in range(planes) if (seen & (states.slot[span] == plane)).any()}
        for plane in touched:
            ring[plane] = ring[plane].put(seen & (states.slot[span] == plane), epoch, scores)
        states.slot[span] = np.where(seen, (states.slot[span] + 1) % planes, states.slot[span])
        states.fresh[span] = np.where(seen, np.minimum(states.fresh[span] + 1, planes), states.fresh[span])
        used = in_use(states, span, window)
        _check_complete(ring, used, number)
        parts.append(weigh(ring, used, states.label[span], weighted=weighted))
        for plane in touched:
            save_plane(transaction, plane, number, ring[plane])
    return Evidence.join(parts)


def weigh_stored(
    transaction: Transaction, states: ClipStates, *, classes: int, window: int, weighted: bool
) -> Evidence:
    """Weigh the stored scores, including those from before a clip was pruned."""
    parts = []
    for number, span in blocks(len(states)):
        ring = [load_plane(transaction, plane, number, span, classes) for plane in range(window + 1)]
        _check_complete(ring, in_use(states, span, window), number)
        used = in_use(states, span, window, all_ages=True)
        used = [mask & (plane.epoch_N > 0) for mask, plane in zip(used, ring, strict=True)]
        parts.append(weigh(ring, used, states.label[span], weighted=weighted))
    return Evidence.join(parts)


def _check_complete(ring: list[Plane], used: list[NDArray[np.bool_]], number: int) -> None:
    """Raise if scores in use are missing."""
    for plane, (content, mask) in enumerate(zip(ring, used, strict=True)):
        if (mask & (content.epoch_N == 0)).any():
            raise DamagedError(f"block 'plane/{plane:02d}/{number:04d}' is missing scores. See `sciu-purify verify`.")


def mean_probabilities(
    transaction: Transaction, states: ClipStates, *, classes: int, window: int
) -> NDArray[np.float32]:
    """Return the mean probabilities of every clip's stored scores, [K, N]; NaN where there are none."""
    mean_KN = np.full((classes, len(states)), np.nan, np.float32)
    for number, span in blocks(len(states)):
        ring = [load_plane(transaction, plane, number, span, classes) for plane in range(window + 1)]
        _check_complete(ring, in_use(states, span, window), number)
        used = in_use(states, span, window, all_ages=True)
        here = [mask & (plane.epoch_N > 0) for mask, plane in zip(used, ring, strict=True)]
        count = np.sum(here, axis=0)
        total = sum(plane.probs_KN.astype(np.float32) * mask for plane, mask in zip(ring, here, strict=True))
        with np.errstate(invalid="ignore"):
            mean_KN[:, span] = total / count
    return mean_KN


def scores_of(
    transaction: Transaction, states: ClipStates, clip: int, *, classes: int, window: int
) -> list[tuple[int, float, list[float]]]:
    """Return one clip's stored scores, oldest first: epoch, weight, probabilities."""
    number, span = next((number, span) for number, span in blocks(len(states)) if span.start <= clip < span.stop)
    row, found = clip - span.start, []
    ring = [load_plane(transaction, plane, number, span, classes) for plane in range(window + 1)]
    _check_complete(ring, in_use(states, span, window), number)
    for plane in ring:
        if plane.epoch_N[row]:
            probs = plane.probs_KN[:, row].astype(float).tolist()
            found.append((int(plane.epoch_N[row]), float(plane.weight_N[row]), probs))
    return sorted(found)


def in_use(states: ClipStates, span: slice, window: int, *, all_ages: bool = False) -> list[NDArray[np.bool_]]:
    """Return for every plane the mask of the clips whose score in it is among their last t."""
    planes = window + 1
    newest = states.slot[span].astype(np.int16) - 1
    limit = np.int16(window) if all_ages else np.minimum(states.fresh[span], window).astype(np.int16)
    return [(newest - plane) % planes < limit for plane in range(planes)]
