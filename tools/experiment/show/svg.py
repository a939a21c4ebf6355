"""Charts as SVG files: lines and points between two axes, and squares of numbers. Enough for a paper's figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#999999")  # Okabe and Ito's
DASHES = ("", "6 3", "2 3", "8 3 2 3")
_FONT = 'font-family="Helvetica, Arial, sans-serif"'
_LEFT, _TOP, _BOTTOM, _WIDTH, _HEIGHT = 64, 36, 52, 400, 280
_LETTER = 7  # wide, about


def colour(number: int) -> str:
    """Return the colour of a series by its number."""
    return COLOURS[number % len(COLOURS)]


def text(x: float, y: float, words: str, *, size: int = 12, anchor: str = "middle", more: str = "") -> str:
    """Return text at a position."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" {_FONT} {more}>{escape(words)}</text>'
    )


def picture(width: float, height: float, parts: Sequence[str]) -> str:
    """Return a whole SVG file with a white background."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}">'
    return "\n".join([head, f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>', *parts, "</svg>\n"])


@dataclass
class Chart:
    """Lines and points over two axes, whose ranges follow what is drawn unless they are given."""

    title: str
    x: str
    y: str
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    _series: list[tuple[str, np.ndarray, str, str]] = field(default_factory=list)

    def line(self, name: str, points: Sequence[Sequence[float]], number: int, *, dash: int = 0) -> None:
        """Draw a line through points; without a name it is not in the legend."""
        self._add(name, points, number, f"dash:{DASHES[dash % len(DASHES)]}")

    def points(self, name: str, points: Sequence[Sequence[float]], number: int) -> None:
        """Draw dots."""
        self._add(name, points, number, "dots")

    def _add(self, name: str, points: Sequence[Sequence[float]], number: int, how: str) -> None:
        known = np.array([point for point in points if not np.isnan(point).any()], np.float64).reshape(-1, 2)
        self._series.append((name, known, colour(number), how))

    def svg(self) -> str:
        """Return the chart as an SVG file."""
        every = np.concatenate([points for _, points, _, _ in self._series if len(points)] or [np.zeros((1, 2))])
        xs, ys = (given or _range(every[:, k]) for k, given in enumerate((self.x_range, self.y_range)))
        parts = [text(_LEFT + _WIDTH / 2, 22, self.title, size=14)]
        parts += [*_axis(xs, self.x, across=True), *_axis(ys, self.y, across=False)]
        named = list(dict.fromkeys((name, shade, how) for name, _, shade, how in self._series if name))
        for _, points, shade, how in self._series:
            parts += _drawn(_placed(points, xs, ys), shade, how)
        for row, (name, shade, how) in enumerate(named):
            x, y = _LEFT + _WIDTH + 16, _TOP + 10 + 20 * row
            sample = [[x + 11, y - 4]] if how == "dots" else [[x, y - 4], [x + 22, y - 4]]
            parts += [*_drawn(np.array(sample), shade, how), text(x + 30, y, name, anchor="start")]
        legend = 56 + _LETTER * max((len(name) for name, _, _ in named), default=0)
        return picture(_LEFT + _WIDTH + legend, max(_TOP + _HEIGHT + _BOTTOM, _TOP + 20 * len(named) + 20), parts)


def _range(values: np.ndarray) -> tuple[float, float]:
    """Return the range of values with a small margin."""
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * (high - low) or max(abs(high), 1.0) * 0.05
    return low - margin, high + margin


def ticks(low: float, high: float) -> list[float]:
    """Return four to nine round numbers of a range."""
    raw = (high - low) / 5
    size = 10.0 ** np.floor(np.log10(raw))
    step = next(size * times for times in (1, 2, 5, 10) if size * times >= raw)
    return [round(k * step, 10) for k in range(int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9)) + 1)]


def _placed(points: np.ndarray, xs: tuple[float, float], ys: tuple[float, float]) -> np.ndarray:
    x = _LEFT + _WIDTH * (points[:, 0] - xs[0]) / (xs[1] - xs[0])
    y = _TOP + _HEIGHT * (1 - (points[:, 1] - ys[0]) / (ys[1] - ys[0]))
    return np.stack([x, y], axis=1)


def _axis(reach: tuple[float, float], name: str, *, across: bool) -> list[str]:
    parts, bottom = [], _TOP + _HEIGHT
    for value in ticks(*reach):
        share = (value - reach[0]) / (reach[1] - reach[0])
        if across:
            x = _LEFT + _WIDTH * share
            parts += [
                f'<path d="M{x:.1f} {bottom}V{_TOP}" stroke="#eee"/>',
                text(x, bottom + 16, f"{value:g}", size=11),
            ]
        else:
            y = bottom - _HEIGHT * share
            parts += [f'<path d="M{_LEFT} {y:.1f}H{_LEFT + _WIDTH}" stroke="#eee"/>']
            parts += [text(_LEFT - 6, y + 4, f"{value:g}", size=11, anchor="end")]
    line = f"M{_LEFT} {bottom}H{_LEFT + _WIDTH}" if across else f"M{_LEFT} {bottom}V{_TOP}"
    middle = _TOP + _HEIGHT / 2
    label = text(_LEFT + _WIDTH / 2, bottom + 40, name) if across else ""
    return [
        *parts,
        f'<path d="{line}" stroke="#444"/>',
        label or text(16, middle, name, more=f'transform="rotate(-90 16 {middle})"'),
    ]


def _drawn(places: np.ndarray, shade: str, how: str) -> list[str]:
    if how == "dots":
        return [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{shade}" fill-opacity=".8"/>' for x, y in places]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dash = how.removeprefix("dash:")
    return (
        [f'<path d="M{path}" fill="none" stroke="{shade}" stroke-width="2" stroke-dasharray="{dash}"/>'] if path else []
    )


def squares(title: str, panels: Sequence[tuple[str, np.ndarray]], names: Sequence[str], form: str) -> str:
    """Return square tables of numbers side by side, darkest at each row's maximum; `form` formats a number."""
    cell, left, top = 40, 76, 74
    side = cell * len(names)
    parts = [text(left, 22, title, size=14, anchor="start")]
    for number, (name, table) in enumerate(panels):
        x0 = left + number * (side + left)
        parts.append(text(x0 + side / 2, 46, name, size=13))
        most = np.maximum(table.sum(axis=1, keepdims=True), 1e-9)
        for row, column in np.ndindex(table.shape):
            depth, x, y = float(table[row, column] / most[row, 0]), x0 + cell * column, top + cell * row
            shade = f"rgb({255 - 255 * depth:.0f},{255 - 141 * depth:.0f},{255 - 77 * depth:.0f})"
            parts.append(f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="{shade}" stroke="white"/>')
            ink = 'fill="white"' if depth > 0.6 else 'fill="#222"'
            parts.append(text(x + cell / 2, y + cell / 2 + 4, format(table[row, column], form), size=11, more=ink))
        for k, label in enumerate(names):
            parts.append(text(x0 - 6, top + cell * (k + 0.5) + 4, label, size=11, anchor="end"))
            parts.append(text(x0 + cell * (k + 0.5), top - 8, label[:6], size=10))
    return picture(left + len(panels) * (side + left), top + side + 20, parts)
