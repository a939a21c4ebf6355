"""Unusable clips: those whose scores after many epochs carry almost no information.

A threshold on the information alone would always find some, hard and rare clips among them. So it is first tested
whether there is a *kind* of such clips: many with next to no information, compared with those with little. In the
measurements (docs/experiments/auto_search.md) the share of the first among the second was .33 to .6 where low quality
had been planted, and .03 to .25 on clean faces and on real pictures, whose hard clips thin out evenly.
"""

from __future__ import annotations

import numpy as np

from sciu.purification.rules.auto.opinion import Opinion

_NOTHING, _LITTLE, _UNUSABLE = 0.2, 0.5, 0.3  # of the usual information of agreeing clips
_KIND = 0.3  # share of clips with next to no information among those with little
_INFORMATIVE_FROM = 0.3  # usual information: below it, a clip may have little because the network is not trained yet
_FEWEST, _SMALLEST_SHARE = 5, 0.005


def unusable_below(opinion: Opinion, *, found_before: bool = False) -> tuple[float, float]:
    """Return the information below which a clip is unusable, 0 if there is no such kind, and the usual information.

    If some were found before, there is: those that remain are too few to be recognised as a kind.
    """
    if not opinion.agreeing.any():
        return 0.0, 0.0
    usual = float(np.median(opinion.information[opinion.agreeing]))
    if usual < _INFORMATIVE_FROM:
        return 0.0, usual
    information = opinion.information[opinion.known]
    nothing, little = (int((information < share * usual).sum()) for share in (_NOTHING, _LITTLE))
    is_kind = found_before or nothing >= max(_FEWEST, _SMALLEST_SHARE * len(information), _KIND * little)
    return (_UNUSABLE * usual if is_kind else 0.0), usual
