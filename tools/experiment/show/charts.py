"""Curves and points between two axes, drawn by matplotlib as a paper shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sciu.pipeline.train.report.drawing import drawn, legible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#999999")
"""Okabe and Ito's, which colour-blind readers tell apart."""
_DASHES, _MARKERS = ("-", "--", ":", "-."), "osD^vPX*"
_FEW = 25  # points that have room for a marker and an error bar each; the errors of more make a band


class Curve(NamedTuple):
    """Points (x, y) or (x, y, deviation of y) of a method; without a dash there is no line."""

    name: str
    points: Sequence[Sequence[float | None]]
    number: int  # gives the colour
    dash: int | None = 0


def chart(title: str, x: str, y: str, curves: Sequence[Curve], *, square: bool = False) -> Callable[[str], bytes]:
    """Return what draws a file of a format; axes of a square one are probabilities, its diagonal where they agree."""

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0, 0, 2.9 if square else 4.2, 2.9))
        axes.set(title=legible(title), xlabel=x, ylabel=y)
        if square:
            axes.plot((0, 1), (0, 1), color="grey", linewidth=0.8, linestyle=":")
            axes.set(xlim=(0, 1), ylim=(0, 1))
        for curve in curves:
            _draw(axes, curve)
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)

    return partial(drawn, paint)


def _draw(axes: Axes, curve: Curve) -> None:
    """Draw a curve; methods are told apart by marker and dash, too."""
    x, y, deviation = np.array([[*point, None][:3] for point in curve.points], np.float64).reshape(-1, 3).T
    few, known, turn = len(x) <= _FEW, not np.isnan(deviation).all(), curve.number // len(_COLOURS)
    look: dict[str, Any] = {"color": _COLOURS[curve.number % len(_COLOURS)], "label": legible(curve.name)}
    look["linestyle"] = "" if curve.dash is None else _DASHES[(turn + curve.dash) % len(_DASHES)]
    if not curve.dash and (few or curve.dash is None):
        look |= {"marker": _MARKERS[curve.number % len(_MARKERS)], "markersize": 4.5, "clip_on": False}
    axes.errorbar(x, y, deviation if few and known else None, capsize=2, **look)
    if known and not few:
        axes.fill_between(x, y - deviation, y + deviation, color=look["color"], alpha=0.15, linewidth=0)
