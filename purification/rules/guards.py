"""Guards against a rule that removes too much: a share of every class stays, and of the whole dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciu.purification.clip_state import ClipStates, Status
from sciu.purification.store.evidence import Floats

_LAST = 0.1  # share of a class's clips that keep its label where none would
_ROUNDING = 1e-6  # of a clip: .07 * 100 is a little more than 7


@dataclass(frozen=True)
class Guarded:
    """The clips still to prune, and how many clips each guard spared."""

    prune: NDArray[np.bool_]
    spared: Mapping[str, int]  # by class number as text, and "all"


def guard(
    wanted: NDArray[np.bool_], confidence: Floats, states: ClipStates, *, keep_per_class: float, max_pruned: float
) -> Guarded:
    """Spare the best of the clips to prune where a given class would fall below its share, then where all would."""
    prune, spared = wanted.copy(), dict[str, int]()
    for k in np.unique(states.given[wanted]):
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

    wanted: NDArray[np.bool_]
    sureness: Floats
    training: NDArray[np.bool_]
    given: NDArray[np.int16]
    before: NDArray[np.int16]
    after: NDArray[np.int16]  # of those that are wanted


def spare_classes(change: Relabelling, share: float) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Spare the least sure corrections where too few of a given class's clips would keep its label.

    A share of 0 only spares a tenth of a class that would be emptied: a network unlearns a class without clips.
    """
    correct, spared = change.wanted.copy(), dict[str, int]()
    label = np.where(change.wanted, change.after, change.before)
    for k in np.unique(change.before[change.wanted]):
        of_class, keeping = change.training & (change.given == k), change.training & (label == k)
        least = share if share > 0 else _LAST * (not keeping.any())
        short = int(np.ceil(least * of_class.sum() - _ROUNDING)) - int((of_class & keeping).sum())
        leaving = of_class & correct & (change.before == k)
        if short > 0:
            spared[str(k)] = _spare(correct, leaving, -change.sureness, max(0, int(leaving.sum()) - short))
    return correct, {name: count for name, count in spared.items() if count}


def spare_shrinking(change: Relabelling, share: float) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Spare corrections where a class would have fewer training clips in all than this share of those given to it.

    Among the clips that move from one class to another, the least sure are spared.
    """
    wanted, before, after = change.wanted, change.before, change.after
    classes = int(max(change.given.max(), before.max(), after.max(), 0)) + 1
    given_K = np.bincount(change.given[change.training], minlength=classes)
    kept_K = np.bincount(np.where(wanted, after, before)[change.training], minlength=classes)
    pairs = before[wanted].astype(np.int64) * classes + after[wanted]
    moves_KK = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    allowed_KK = _allowed(moves_KK, kept_K - np.ceil(share * given_K - _ROUNDING).astype(np.int64))
    correct, spared = wanted.copy(), dict[str, int]()
    for k, to in np.argwhere(allowed_KK < moves_KK):
        of_move = correct & (before == k) & (after == to)
        count = _spare(correct, of_move, -change.sureness, int(allowed_KK[k, to]))
        spared[str(k)] = spared.get(str(k), 0) + count
    return correct, spared


def _allowed(moves_KK: NDArray[np.int64], above_K: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many clips may move from class to class; `above_K` is what classes would have above their minimum.

    A spared clip is missing in the class that it would have moved to, so those are spared first whose new class has
    the most above its minimum. A class that is still short in the end has no moves left to spare.
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
    """Keep only the `room` lowest in `prune`; return how many were spared. Among equals the lower id comes first."""
    wanted = np.flatnonzero(prune & among)
    if len(wanted) <= room:
        return 0
    prune[wanted] = False
    prune[wanted[_lowest(confidence[wanted], room)]] = True
    return len(wanted) - room


def _lowest(values: Floats, count: int) -> NDArray[np.int64]:
    """Return the places of the lowest values, the first among equals; not by sorting, which is not linear."""
    if not count:
        return np.zeros(0, np.int64)
    border = np.partition(values, count - 1)[count - 1]
    below, equal = np.flatnonzero(values < border), np.flatnonzero(values == border)
    return np.concatenate([below, equal[: count - len(below)]])
