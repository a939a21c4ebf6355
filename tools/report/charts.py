"""Charts as plain JSON, as Plotly draws them; the page gives them its colours by the `role` of each trace."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sciu.tools.report.records import Measure, RunRecord

if TYPE_CHECKING:
    from sciu.pipeline.train.record.epoch_record import EpochRecord, SplitResult

Chart = dict[str, Any]
_Value = Callable[["EpochRecord"], float | None]

_MOST_LABELLED = 20  # classes whose cells have room for a number
_LIMIT_NAMES = {"prune_below": "prune below", "correct_above": "correct above", "relabel_above": "relabel above"}


def label(name: str) -> str:
    """Return a name as Plotly shows it literally: it takes text for a kind of HTML."""
    return escape(name, quote=False)


def finite(value: float | None) -> float | None:
    """Return a number that JSON has; None is a gap in a line."""
    return value if value is not None and math.isfinite(value) else None


# ---- curves


def curves(runs: Sequence[RunRecord]) -> list[tuple[str, Chart]]:
    """Return a title and a chart for each number over the epochs, with a line for each run."""
    shown: list[tuple[str, str, _Value]] = [
        ("WAR", ".0%", lambda record: _evaluated(record, "war")),
        ("UAR", ".0%", lambda record: _evaluated(record, "uar")),
        ("Loss", "", lambda record: record.loss),
        ("Accuracy while training", ".0%", lambda record: record.accuracy),
        ("Pruned clips", ",d", lambda record: _count(record, "pruned")),
        ("Corrected clips", ",d", lambda record: _count(record, "corrected")),
    ]
    return [_curve(title, form, [(run, value) for run in runs]) for title, form, value in shown]


def _evaluated(record: EpochRecord, what: str) -> float | None:
    result = record.test or record.validation
    return None if result is None else getattr(result, what)


def _count(record: EpochRecord, what: str) -> int | None:
    return None if record.purify is None else record.purify.counts.get(what)


def _curve(title: str, form: str, lines: Sequence[tuple[RunRecord, _Value]]) -> tuple[str, Chart]:
    traces = []
    for number, (run, value) in enumerate(lines):
        points = [(record.epoch, finite(value(record))) for record in run.history]
        known = [(epoch, found) for epoch, found in points if found is not None]
        traces.append({
            "type": "scatter", "mode": "lines+markers" if len(known) < 40 else "lines", "name": label(run.name),
            "x": [epoch for epoch, _ in known], "y": [found for _, found in known], "role": f"run-{number % 8}",
            "hovertemplate": f"epoch %{{x}}: %{{y:{form or '.4g'}}}<extra>%{{fullData.name}}</extra>",
        })  # fmt: skip
    axes = {"xaxis": {"rangemode": "tozero", "tickformat": "d"}, "yaxis": {"tickformat": form, "nticks": 5}}
    return title, {"traces": traces, "layout": {**axes, "showlegend": False}}


# ---- confusion


def confusion(result: SplitResult) -> Chart:
    """Return a confusion matrix in shares of its rows."""
    names = [label(name) for name in result.recalls]
    shares = [[round(count / max(sum(row), 1), 4) for count in row] for row in result.confusion]
    shown = [[f"{share:.0%}" if share else "" for share in row] for row in shares]
    trace = {
        "type": "heatmap", "x": names, "y": names, "z": shares, "customdata": result.confusion, "zmin": 0, "zmax": 1,
        "role": "heat", "showscale": False, "xgap": 1, "ygap": 1,
        "hovertemplate": "%{y} as %{x}: %{z:.1%}, %{customdata:,d} clips<extra></extra>",
        **({"text": shown, "texttemplate": "%{text}"} if len(names) <= _MOST_LABELLED else {}),
    }  # fmt: skip
    axis = {"type": "category", "showgrid": False, "ticks": ""}
    layout = {
        "xaxis": {**axis, "title": {"text": "predicted"}},
        "yaxis": {**axis, "title": {"text": "true class"}, "autorange": "reversed"},
    }
    return {"traces": [trace], "layout": layout}


# ---- distributions


def distribution(measure: Measure) -> Chart:
    """Return stacked bars of a distribution, with the thresholds as lines."""
    edges = measure.edges
    middles = [(low + high) / 2 for low, high in pairwise(edges)]
    traces = [
        {
            "type": "bar", "name": what, "x": middles, "y": counts, "width": edges[1] - edges[0], "role": what,
            "hovertemplate": f"{what}: %{{y:,d}} clips around %{{x:.3f}}<extra></extra>",
        }
        for what, counts in measure.counts.items()
    ]  # fmt: skip
    lines = [
        {"type": "line", "x0": limit, "x1": limit, "y0": 0, "y1": 1, "yref": "paper", "role": "limit"}
        for limit in measure.limits.values()
    ]
    notes = [
        {"x": limit, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False, "role": "limit",
         "text": f"{_LIMIT_NAMES.get(name, name)} {limit:.3f}"}
        for name, limit in measure.limits.items()
    ]  # fmt: skip
    layout = {
        "barmode": "stack", "bargap": 0, "shapes": lines, "annotations": notes, "showlegend": False,
        "xaxis": {"title": {"text": measure.name}},
        "yaxis": {"tickformat": ",d", "nticks": 5, "title": {"text": "clips"}},
    }  # fmt: skip
    return {"traces": traces, "layout": layout}
