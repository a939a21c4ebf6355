"""Which clips a person goes through, and in which order.

What people decide moves no clip: one that was pruned and is pinned now is still among the pruned ones, as decided. So a
queue stays in order while it is worked on, and only an epoch that ends changes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.errors import require
from sciu.purification.clip_state import PINS, Status

if TYPE_CHECKING:
    from sciu.purification.care.report import Report
    from sciu.tools.review.history import Histories

Kind = Literal["flagged", "pruned", "corrected", "doubted", "pinned", "all"]
Order = Literal["label-score", "pair", "score", "margin", "clip"]
Which = Literal["open", "mine", "others", "any"]
Mask = NDArray[np.bool_]
Clips = NDArray[np.int64]
Pair = tuple[int, int]
NONE = -1  # instead of a class: the clip has no other label to propose


@dataclass(frozen=True)
class Kinds:
    """The clips of each kind, and the label that is proposed for each."""

    masks: dict[Kind, Mask]
    proposed: NDArray[np.int64]

    @classmethod
    def of(cls, report: Report, histories: Histories) -> Kinds:
        """Sort clips into kinds; of a pinned clip by what the policy last said of it."""
        states, pinned = report.states, report.states.has(PINS)
        present = states.training | pinned
        given = states.given.astype(np.int64)
        predicted = report.predicted
        pruned = states.ours & np.where(pinned, histories.pruned, states.has(Status.PRUNED))
        label = np.where(pinned, histories.label, states.label)
        corrected = present & ~pruned & (label != given)
        flagged = pruned | corrected
        doubted = present & ~flagged & (predicted >= 0) & (predicted != given)
        masks: dict[Kind, Mask] = {
            "flagged": flagged, "pruned": pruned, "corrected": corrected, "doubted": doubted,
            "pinned": states.ours & pinned, "all": states.ours,
        }  # fmt: skip
        return cls(masks, np.where(corrected, label, np.where(doubted, predicted, NONE)))

    def kind_of(self, clip: int) -> Kind | None:
        """Return what a clip is: pruned, corrected, doubted or none of them."""
        kinds: tuple[Kind, ...] = ("pruned", "corrected", "doubted")
        return next((kind for kind in kinds if self.masks[kind][clip]), None)

    def pair(self, clip: int, given: NDArray[np.int16]) -> Pair:
        """Return the given and the proposed label of a clip."""
        return int(given[clip]), int(self.proposed[clip])


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a person wants to go through."""

    kind: Kind = "flagged"
    order: Order = "label-score"
    pair: Pair | None = None  # given and proposed label
    which: Which = "open"
    who: str = ""

    def __post_init__(self) -> None:
        for name, choices in (("kind", Kind), ("order", Order), ("which", Which)):
            require(
                getattr(self, name) in get_args(choices),
                name,
                f"one of {[*get_args(choices)]}",
                repr(getattr(self, name)),
            )


def ordered(report: Report, kinds: Kinds, wanted: Wanted) -> Clips:
    """Return the wanted clips, decided or not, in their order."""
    chosen = kinds.masks[wanted.kind]
    given = report.states.given
    if wanted.pair is not None:
        chosen = chosen & (given == wanted.pair[0]) & (kinds.proposed == wanted.pair[1])
    clips: Clips = np.flatnonzero(chosen)
    if wanted.order != "pair":
        return report.doubtful(clips, wanted.order)
    clips = report.doubtful(clips, "label-score")
    places = {pair: place for place, pair in enumerate(_counted(report, kinds, clips))}
    keys = [places[kinds.pair(clip, given)] for clip in clips.tolist()]
    return clips[np.argsort(np.array(keys, np.int64), kind="stable")]


def pairs_of(report: Report, kinds: Kinds, kind: Kind, most: int) -> list[tuple[int, int, int]]:
    """Return the pairs of given and proposed label with their numbers of clips, the most frequent ones first."""
    counts = _counted(report, kinds, np.flatnonzero(kinds.masks[kind]))
    return [(*pair, count) for pair, count in islice(counts.items(), most)]


def _counted(report: Report, kinds: Kinds, clips: Clips) -> dict[Pair, int]:
    """Count the clips of each pair, the most frequent pair first."""
    pairs = zip(report.states.given[clips].tolist(), kinds.proposed[clips].tolist(), strict=True)
    return dict(sorted(Counter(pairs).items(), key=lambda each: (-each[1], each[0])))


def following(clips: Clips, passes: Callable[[int], bool], after: int | None, count: int) -> list[int]:
    """Return up to `count` clips that pass, from the one after `after` on; from the first if that is not there."""
    place = np.flatnonzero(clips == after)  # of None there is none
    rest = clips[place[0] + 1 :] if len(place) else clips
    return list(islice(filter(passes, rest.tolist()), max(count, 0)))
