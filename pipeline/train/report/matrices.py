"""Square tables of counts by two classes, such as confusion matrices, side by side as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.train.report.drawing import drawn, legible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS, _GAP = 3, 0.35  # matrices in a row of them; inches between them
_MOST_NUMBERED = 64  # classes whose cells have room for numbers


@dataclass(frozen=True, kw_only=True, eq=False)
class Matrix:
    """How often each class of the rows met each of the columns."""

    title: str
    counts: NDArray[np.number]
    classes: Sequence[str]
    rows: str = "true class"
    columns: str = "predicted class"
    cell: str = "{share:.0%}\n{count:,.0f}"  # a share is that of the row

    @property
    def shares(self) -> NDArray[np.float64]:
        """The counts as shares of their rows; 0 in a row without any."""
        totals = self.counts.sum(axis=1, keepdims=True)
        return np.divide(self.counts, totals, out=np.zeros(self.counts.shape), where=totals > 0)


def picture_of(matrices: Sequence[Matrix], kind: str = "png") -> bytes:
    """Draw matrices as one file, cells darker the larger their share; each class's name is there in full."""
    return drawn(lambda figure: _paint(figure, matrices), kind)


def _paint(figure: Figure, matrices: Sequence[Matrix]) -> None:
    left = top = bottom = 0.0
    for number, matrix in enumerate(matrices):
        if number % _COLUMNS == 0:
            left, top = 0.0, bottom - _GAP
        classes = len(matrix.classes)
        cell, font = (0.5, 7) if classes <= 12 else (0.36, 6) if classes <= _MOST_NUMBERED else (0.12, 6)
        side = cell * classes
        axes = figure.add_axes((0, 0, side, side))
        _label(axes, matrix, font + 1)
        box = axes.get_tightbbox()
        assert box is not None
        around = box.transformed(figure.dpi_scale_trans.inverted())
        axes.set_position((left - around.x0, top - around.y1, side, side))
        left, bottom = left + around.width + _GAP, min(bottom, top - around.height)
        _fill(axes, matrix, font)


def _label(axes: Axes, matrix: Matrix, size: float) -> None:
    names, places = [*map(legible, matrix.classes)], np.arange(len(matrix.classes)) + 0.5
    axes.set(title=legible(matrix.title), xlabel=matrix.columns, ylabel=matrix.rows)
    axes.set_xticks(places, names, fontsize=size, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, names, fontsize=size)
    axes.set(xlim=(0, len(names)), ylim=(len(names), 0))
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _fill(axes: Axes, matrix: Matrix, size: float) -> None:
    shares = matrix.shares
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=0.6)
    for row, column in np.argwhere(matrix.counts).tolist() if len(shares) <= _MOST_NUMBERED else ():
        share = float(shares[row, column])
        words = matrix.cell.format(share=share, count=matrix.counts[row, column])
        look: dict[str, Any] = {"fontsize": size, "color": "white" if share > 0.65 else "black", "in_layout": False}
        axes.text(column + 0.5, row + 0.5, words, ha="center", va="center", **look)
