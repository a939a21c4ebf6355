"""Clips that teach nothing: those whose scores say as little after many epochs as no scores at all.

A threshold on how much scores say would always find some, the hard and the rare among them. So it is first asked
whether there is a *kind* of such clips: many that say next to nothing, compared with those that say little. In the
measurements (docs/experiments/auto_search.md) the share of the first among the second was .33 to .6 where low quality
had been planted, and .03 to .25 on clean faces and on real pictures, whose hard clips thin out evenly.
"""

from __future__ import annotations

import numpy as np

from sciu.purification.rules.auto.opinion import Opinion

_NOTHING, _LITTLE, _UNUSABLE = 0.2, 0.5, 0.3  # of what agreeing clips usually say
_KIND = 0.3  # of the clips that say little, those that say nothing
_TOLD_FROM = 0.3  # usual information: before it, what a network says little of is only what it has not learnt yet
_FEWEST, _SMALLEST_SHARE = 5, 0.005


def unusable_below(opinion: Opinion, *, found_before: bool = False) -> tuple[float, float]:
    """Return the information below which a clip is unusable, 0 where there is no such kind; and the usual one.

    Where some were found before, there is: those that remain are too few to be seen as a kind of their own.
    """
    if not opinion.agreeing.any():
        return 0.0, 0.0
    usual = float(np.median(opinion.information[opinion.agreeing]))
    if usual < _TOLD_FROM:
        return 0.0, usual
    information = opinion.information[opinion.known]
    nothing, little = (int((information < share * usual).sum()) for share in (_NOTHING, _LITTLE))
    is_kind = found_before or nothing >= max(_FEWEST, _SMALLEST_SHARE * len(information), _KIND * little)
    return (_UNUSABLE * usual if is_kind else 0.0), usual
