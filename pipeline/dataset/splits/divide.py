"""Divide clips into parts by shares: exact, alike in every class, whole groups. A pure function of its arguments.

What holds of a division that is returned; anything else is refused:
- each class has a clip in every part and in the rest, and a group is in one part, or in the rest;
- without groups a part has `round(share * clips)` clips, and of each class its share to within one clip, but for those
  that every class must have;
- with groups it is the best of many random divisions; clips without a group even out what whole groups cannot, and a
  part has between half and twice the clips that it should have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.table import Categories
from sciu.pipeline.errors import SettingError

REST = -1
_TRIES = 64
_CLIP_BY_CLIP = "Divide clip by clip with `sciu-data split --by clip`"

Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]


def divide(labels: Categories, groups: Categories | None, shares: Mapping[str, float], seed: int) -> NDArray[np.int8]:
    """Return the part of every clip, as an index into `shares`, or REST; `groups` None divides clip by clip."""
    names, classes = np.unique(labels.codes, return_inverse=True)
    groups = groups or Categories(np.full(len(labels), -1, np.int32), ())
    clips = _Clips([labels.names[name] for name in names], classes, _whole(groups.codes), np.random.default_rng(seed))
    parts = np.full(len(labels), REST, np.int8)
    clips.require_enough(1 + len(shares))
    for number, (name, share) in enumerate(shares.items()):
        part = _Part(name, share, others=len(shares) - number)
        parts[clips.take(part, parts == REST)] = number
    return parts


def _whole(codes: NDArray[np.int32]) -> Counts:
    """Return the unit of every clip, of those that are taken whole: groups of several clips; -1 for all others."""
    sizes = np.bincount(codes[codes >= 0], minlength=1)
    several = (codes >= 0) & (sizes[codes] > 1)
    units = np.full(len(codes), -1, np.int64)
    units[several] = np.unique(codes[several], return_inverse=True)[1]
    return units


@dataclass(frozen=True)
class _Part:
    name: str
    share: float
    others: int  # how many parts, the rest among them, still need clips of every class after this one


@dataclass(frozen=True, eq=False)
class _Clips:
    """The clips to divide: their classes, the units that are taken whole, and random numbers."""

    names: list[str]
    classes: Counts
    units: Counts
    random: np.random.Generator

    def of_class(self, among: Mask) -> Counts:
        """Return the number of clips by class."""
        counted: Counts = np.bincount(self.classes[among], minlength=len(self.names))
        return counted

    def table(self, among: Mask) -> Counts:
        """Return the number of clips by unit and class."""
        shape = (int(self.units.max(initial=-1)) + 1, len(self.names))
        inside = among & (self.units >= 0)
        cells = np.bincount(self.units[inside] * shape[1] + self.classes[inside], minlength=shape[0] * shape[1])
        return cells.reshape(shape)

    def require_enough(self, parts: int) -> None:
        """Raise if a class is in too few units for every part to have one."""
        every = np.ones(len(self.classes), bool)
        clips, units = self.of_class(every), _units_of_class(self.table(every), self.of_class(self.units < 0))
        for what, counts in (("clips", clips), ("groups", units)):
            if (short := np.flatnonzero(counts < parts)).size:
                raise DatasetError(
                    f"class '{self.names[short[0]]}' must have at least {parts} {what} to be divided into {parts}, but"
                    f" has {counts[short[0]]}. "
                    + (
                        "Leave the class out, or add clips of it."
                        if what == "clips"
                        else f"{_CLIP_BY_CLIP}, or add clips of other groups."
                    )
                )

    def take(self, part: _Part, free: Mask) -> NDArray[np.int64]:
        """Return the clips of a part, taken from those that are free."""
        every = self.of_class(np.ones(len(self.classes), bool))
        total = math.floor(part.share * len(self.classes) + 0.5)
        _require_room(part, total, len(self.names), len(self.classes), self.of_class(free))
        single = free & (self.units < 0)
        singles, table = self.of_class(single), self.table(free)
        taken = self._groups(part, table, singles)
        held, grouped = table[taken].sum(axis=0), bool(table.any())
        spare = _units_of_class(table, singles) - (table[taken] > 0).sum(axis=0) - part.others
        low = np.where(held == 0, 1, 0)
        wanted = _apportion(total - int(held.sum()), part.share * every - held, low, np.minimum(singles, spare))
        chosen = np.flatnonzero(free & np.isin(self.units, np.flatnonzero(taken)) | self._drawn(single, wanted))
        if grouped and not total / 2 <= len(chosen) <= total * 2:
            raise SettingError(
                f"{part.name} {part.share:g} must hold out {total} clips, but whole groups allow {len(chosen)} at the"
                f" nearest. {_CLIP_BY_CLIP}, or give {len(chosen) / len(self.classes):.2g}."
            )
        return chosen

    def _groups(self, part: _Part, table: Counts, singles: Counts) -> Mask:
        """Return which units to take: the best of many passes that take what brings them nearer, in a random order."""
        if not table.any():
            return np.zeros(len(table), bool)
        goal = part.share * self.of_class(self.units >= 0)
        spare = _units_of_class(table, singles) - part.others
        rows = np.arange(_TRIES)
        held, units = np.zeros((_TRIES, len(goal)), np.int64), np.zeros((_TRIES, len(goal)), np.int64)
        taken = np.zeros((_TRIES, len(table)), bool)
        for unit in self.random.random(taken.shape).argsort(axis=1).T:
            after, units_after = held + table[unit], units + (table[unit] > 0)
            missing = ((held == 0) & (singles == 0) & (after > 0)).any(axis=1)
            fits = (units_after <= spare).all(axis=1)
            take = fits & (missing | (_distance(after, goal) < _distance(held, goal)))
            held[take], units[take] = after[take], units_after[take]
            taken[rows, unit] = take
        whole = ((held > 0) | (np.minimum(singles, spare - units) > 0)).all(axis=1)
        if not whole.any():
            raise DatasetError(
                f"{part.name} must have a clip of every class, but no division into whole groups that does was found."
                f" {_CLIP_BY_CLIP}, or give another share or seed."
            )
        best: Mask = taken[np.where(whole, _distance(held, goal), np.inf).argmin()]
        return best

    def _drawn(self, among: Mask, wanted: Counts) -> Mask:
        """Draw the wanted number of clips of each class."""
        ids = np.flatnonzero(among)
        ids = ids[np.lexsort((self.random.random(len(ids)), self.classes[ids]))]
        classes = self.classes[ids]
        rank = np.arange(len(ids)) - np.searchsorted(classes, classes)
        drawn = np.zeros(len(among), bool)
        drawn[ids[rank < wanted[classes]]] = True
        return drawn


def _units_of_class(table: Counts, singles: Counts) -> Counts:
    """Return how many groups and clips without a group each class has."""
    counted: Counts = (table > 0).sum(axis=0) + singles
    return counted


def _distance(held: Counts, goal: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return how far the clips of each class are from the goal, and all of them, as chi-squared does."""
    scale = np.maximum(goal, 0.5)
    off: NDArray[np.float64] = ((held - goal) ** 2 / scale).sum(axis=1)
    return off + (held.sum(axis=1) - goal.sum()) ** 2 / max(goal.sum(), 0.5)


def _require_room(part: _Part, total: int, classes: int, clips: int, free: Counts) -> None:
    """Raise if a part cannot have a clip of every class, or leaves too few for the others."""
    if total < classes:
        least = math.ceil(1000 * classes / clips) / 1000
        raise SettingError(
            f"{part.name} must hold out a clip of each of {classes} classes, but {part.share:g} of {clips} clips are"
            f" {total}. Give at least {least:g}."
        )
    if total > (most := int((free - part.others).sum())):
        raise SettingError(
            f"{part.name} must leave clips of each of {classes} classes, so hold out at most {most}, but {part.share:g}"
            f" of {clips} clips are {total}. Give less."
        )


def _apportion(total: int, quota: NDArray[np.float64], low: Counts, high: Counts) -> Counts:
    """Return whole numbers near the quotas, within bounds; their sum is `total`, or as near as the bounds allow."""
    high = np.maximum(low, high)
    total = int(np.clip(total, low.sum(), high.sum()))
    given: Counts = np.clip(np.floor(quota).astype(np.int64), low, high)
    while (sign := np.sign(total - int(given.sum()))) != 0:
        movable = given < high if sign > 0 else given > low
        given[np.where(movable, sign * (quota - given), -np.inf).argmax()] += sign
    return given
