"""Guards against a rule that eats its dataset: of every class a share stays, and of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciu.purification.clip_state import ClipStates, Status
from sciu.purification.store.evidence import Floats

_LAST = 0.1  # of a class's clips, which keep its label where none would
_ROUNDING = 1e-6  # of a clip: .07 * 100 is a little more than 7


@dataclass(frozen=True)
class Guarded:
    """What of a wish to prune remains, and how many clips each guard spared."""

    prune: NDArray[np.bool_]
    spared: Mapping[str, int]  # by class number as text, and "all"


def guard(
    wish: NDArray[np.bool_], confidence: Floats, states: ClipStates, *, keep_per_class: float, max_pruned: float
) -> Guarded:
    """Spare the best of the clips to prune where a given class would fall below its share, then where all would."""
    prune, spared = wish.copy(), dict[str, int]()
    for k in np.unique(states.given[wish]):
        of_class = states.given == k
        total, training = int(of_class.sum()), int((of_class & states.training).sum())
        room = max(0, training - int(np.ceil(keep_per_class * total - _ROUNDING)))
        spared[str(k)] = _spare(prune, of_class, confidence, room)
    gone = int(states.has(Status.PRUNED).sum())
    room = max(0, int(np.floor(max_pruned * states.ours.sum() + _ROUNDING)) - gone)
    spared["all"] = _spare(prune, np.ones_like(prune), confidence, room)
    return Guarded(prune, {name: count for name, count in spared.items() if count})


@dataclass(frozen=True, kw_only=True)
class Relabelling:
    """Clips that are to get another label, and what their classes are."""

    wish: NDArray[np.bool_]
    sureness: Floats
    training: NDArray[np.bool_]
    given: NDArray[np.int16]
    before: NDArray[np.int16]
    after: NDArray[np.int16]  # of those that are wished for


def spare_classes(change: Relabelling, share: float) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Spare the least sure corrections where too few of a given class's clips would keep its label.

    A share of 0 spares only a class that would be emptied, a tenth of it: a network unlearns a class without clips.
    """
    correct, spared = change.wish.copy(), dict[str, int]()
    label = np.where(change.wish, change.after, change.before)
    for k in np.unique(change.before[change.wish]):
        of_class, keeping = change.training & (change.given == k), change.training & (label == k)
        least = share if share > 0 else _LAST * (not keeping.any())
        short = int(np.ceil(least * of_class.sum() - _ROUNDING)) - int((of_class & keeping).sum())
        leaving = of_class & correct & (change.before == k)
        if short > 0:
            spared[str(k)] = _spare(correct, leaving, -change.sureness, max(0, int(leaving.sum()) - short))
    return correct, {name: count for name, count in spared.items() if count}


def spare_shrinking(change: Relabelling, share: float) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Spare corrections where a class would have fewer training clips in all than this share of those given to it.

    Of the clips that leave a class for the same other one the least sure are spared.
    """
    wish, before, after = change.wish, change.before, change.after
    classes = int(max(change.given.max(), before.max(), after.max(), 0)) + 1
    given_K = np.bincount(change.given[change.training], minlength=classes)
    kept_K = np.bincount(np.where(wish, after, before)[change.training], minlength=classes)
    pairs = before[wish].astype(np.int64) * classes + after[wish]
    moves_KK = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    allowed_KK = _allowed(moves_KK, kept_K - np.ceil(share * given_K - _ROUNDING).astype(np.int64))
    correct, spared = wish.copy(), dict[str, int]()
    for k, to in np.argwhere(allowed_KK < moves_KK):
        of_move = correct & (before == k) & (after == to)
        count = _spare(correct, of_move, -change.sureness, int(allowed_KK[k, to]))
        spared[str(k)] = spared.get(str(k), 0) + count
    return correct, spared


def _allowed(moves_KK: NDArray[np.int64], above_K: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many clips may move from class to class; `above_K` is what classes would have above their floor.

    A clip that is spared is missing where it would have gone, so those are taken first that go where most can be
    missed. Whoever is short in the end has no moves left to take back.
    """
    moves_KK, above_K = moves_KK.copy(), above_K.copy()
    while len(short := np.flatnonzero((above_K < 0) & (moves_KK.sum(axis=1) > 0))):
        k = short[0]
        to = int(np.where(moves_KK[k] > 0, above_K, np.iinfo(np.int64).min).argmax())
        count = min(-above_K[k], moves_KK[k, to], max(1, above_K[to]))
        moves_KK[k, to] -= count
        above_K[k] += count
        above_K[to] -= count
    return moves_KK


def _spare(prune: NDArray[np.bool_], among: NDArray[np.bool_], confidence: Floats, room: int) -> int:
    """Leave only the `room` lowest of the wishes; return how many were spared. Equals: the lower id goes first."""
    wished = np.flatnonzero(prune & among)
    if len(wished) <= room:
        return 0
    prune[wished] = False
    prune[wished[_lowest(confidence[wished], room)]] = True
    return len(wished) - room


def _lowest(values: Floats, count: int) -> NDArray[np.int64]:
    """Return where the lowest values are, of equals the first; not by sorting, which is not linear."""
    if not count:
        return np.zeros(0, np.int64)
    border = np.partition(values, count - 1)[count - 1]
    below, equal = np.flatnonzero(values < border), np.flatnonzero(values == border)
    return np.concatenate([below, equal[: count - len(below)]])
