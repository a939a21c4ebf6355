"""A group's results -> figures, each with the numbers behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from sciu.pipeline.train.report.matrices import Matrix, picture_of
from sciu.tools.experiment.results.read import PLAIN, Group, Result
from sciu.tools.experiment.results.shift import EXPONENTS, PRIORS, curve
from sciu.tools.experiment.results.statistics import Spread, large_classes, uar_of
from sciu.tools.experiment.show.charts import Curve, chart

Rows = list[dict[str, Any]]
_BINS = 10


@dataclass(frozen=True)
class Drawing:
    """A picture and its numbers."""

    name: str
    file: Callable[[str], bytes]  # by its format
    rows: Rows


def drawings(group: Group, least: int) -> Iterator[Drawing]:
    """Yield the figures for which there is something to draw."""
    yield _confusions(group)
    yield _over_epochs(group, "war", "test WAR of each epoch", "WAR")
    yield _over_epochs(group, "labels_right", "labels right, of those that train", "share right")
    yield _reliability(group, "reliability_test", "reliability on test clips", "probability", "share right", _of_tests)
    yield _reliability(
        group, "reliability_labels", "is a given label right?", "its probability", "share right", _of_labels
    )
    yield _weights(group)
    yield _corrections(group)
    yield _trade(group, least)


def _confusions(group: Group) -> Drawing:
    """Show each class's test clips by predicted class, of all runs together, as in the paper's Figure 3."""
    panels, rows, classes = [], [], group.any().classes
    for method, runs in group.methods.items():
        counts = np.sum([run.confusion().counts for run in runs.values()], axis=0)
        panels.append(Matrix(title=method, counts=counts, classes=classes))
        rows += _cells(method, panels[-1].shares, classes, "predicted")
    return Drawing("confusion", partial(picture_of, panels), rows)


def _cells(method: str, table: np.ndarray, classes: list[str], across: str) -> Rows:
    return [
        {"method": method, "class": classes[row], across: classes[column], "value": float(table[row, column])}
        for row, column in np.ndindex(table.shape)
    ]


def _over_epochs(group: Group, what: str, title: str, axis: str) -> Drawing:
    """Show the mean over seeds in each epoch, and the standard deviation."""
    curves, rows = [], []
    for number, (method, runs) in enumerate(group.methods.items()):
        values: dict[int, list[float | None]] = {}
        for run in runs.values():
            for epoch in run.content["epochs"]:
                values.setdefault(epoch["epoch"], []).append(epoch[what])
        spreads = [(epoch, spread) for epoch, found in sorted(values.items()) if (spread := Spread.of(found))]
        points = [(epoch, spread.mean, spread.deviation) for epoch, spread in spreads]
        curves.append(Curve(method, points, number))
        rows += [{"method": method, "epoch": x, axis: y, "deviation": deviation} for x, y, deviation in points]
    return Drawing(f"{what}_over_epochs", chart(_title(group, title, rows), "epoch", axis, curves), rows)


def _title(group: Group, title: str, rows: Rows) -> str:
    spread = any(row["deviation"] is not None for row in rows)
    return f"{group.data}: {title}{' (mean ± standard deviation)' if spread else ''}"


def _reliability(group: Group, name: str, title: str, x: str, y: str, pairs: Callable[[Result], np.ndarray]) -> Drawing:
    """Show how often predictions are right, in tenths of their probability; fewer than 10 clips give no point."""
    curves, rows = [], []
    for number, (method, runs) in enumerate(group.methods.items()):
        found = [pairs(run) for run in runs.values()]
        points = []
        for k in range(_BINS):
            here = [each[np.minimum((each[:, 0] * _BINS).astype(int), _BINS - 1) == k] for each in found]
            clips = np.concatenate(here)
            if len(clips) >= 10:
                spread = Spread.of([float(each[:, 1].mean()) for each in here if len(each)])
                points.append((*clips.mean(axis=0).tolist(), spread.deviation if spread else None))
                rows.append({"method": method, x: points[-1][0], y: points[-1][1], "deviation": points[-1][2]})
                rows[-1]["clips"] = len(clips)
        curves.append(Curve(method, points, number))
    return Drawing(name, chart(_title(group, title, rows), x, y, curves, square=True), rows)


def _of_tests(run: Result) -> np.ndarray:
    arrays = run.arrays()
    probs = arrays["test_probs"].astype(np.float64)
    return np.stack([probs.max(axis=1), probs.argmax(axis=1) == arrays["test_labels"]], axis=1)


def _of_labels(run: Result) -> np.ndarray:
    """Pair the probability of each given label with whether it is right, where that is known."""
    arrays = run.arrays()
    if "true" not in arrays:
        return np.zeros((0, 2))
    own = arrays["train_probs"][np.arange(len(arrays["given"])), arrays["given"]].astype(np.float64)
    known = (arrays["true"] >= 0) & ~arrays["unusable"] & ~np.isnan(own)
    return np.stack([own, arrays["given"] == arrays["true"]], axis=1)[known]


def _weights(group: Group) -> Drawing:
    """Show the clip weights of clips that were kept and of those that were pruned, as in the paper's Figure 4 (a)."""
    curves, rows = [], []
    for number, (method, runs) in enumerate(group.methods.items()):
        every = [run.arrays() for run in runs.values()]
        weight, pruned = (
            np.concatenate(each) for each in zip(*((a["weight"], a["now"] < 0) for a in every), strict=True)
        )
        if not pruned.any() or weight.min() == weight.max():
            continue
        edges = np.linspace(0, max(1.0, float(weight.max())), 21)
        for dash, (kind, clips) in enumerate((("kept", weight[~pruned]), ("pruned", weight[pruned]))):
            shares = np.histogram(clips, edges)[0] / max(len(clips), 1)
            points = list(zip(((edges[1:] + edges[:-1]) / 2).tolist(), shares.tolist(), strict=True))
            curves.append(Curve(f"{method}, {kind}", points, number, dash))
            rows += [{"method": method, "clips": kind, "weight": x, "share": y} for x, y in points]
    return Drawing("weights", chart(f"{group.data}: weights of clips", "weight", "share of clips", curves), rows)


def _corrections(group: Group) -> Drawing:
    """Show which labels were corrected into which, as in the paper's Figure 4 (b); mean counts of a run."""
    panels, rows, classes = [], [], group.any().classes
    for method, runs in group.methods.items():
        counts = np.zeros((len(classes), len(classes)))
        for run in runs.values():
            arrays = run.arrays()
            changed = (arrays["now"] >= 0) & (arrays["now"] != arrays["given"])
            np.add.at(counts, (arrays["given"][changed], arrays["now"][changed]), 1 / len(runs))
        if counts.any():
            axes = {"rows": "given label", "columns": "corrected to"}
            panels.append(Matrix(title=method, counts=counts, classes=classes, cell="{count:,.0f}", **axes))
            rows += _cells(method, counts, classes, "corrected to")
    return Drawing("corrections", partial(picture_of, panels), rows)


def _trade(group: Group, least: int) -> Drawing:
    """Show WAR against UAR, and plain training shifted to the priors that each method found."""
    curves, rows = [], []
    for number, (method, runs) in enumerate(group.methods.items()):
        points = []
        for run in runs.values():
            counts = run.confusion().counts
            points.append((uar_of(counts, large_classes(counts, least)) or 0.0, run.content["last"]["war"]))
            rows.append({"method": method, "of": "run", "at": run.unit, "uar": points[-1][0], "war": points[-1][1]})
        curves.append(Curve(method, points, number, None))
        pairs = [(group.of(PLAIN)[unit], run) for unit, run in runs.items() if unit in group.of(PLAIN)]
        if method == PLAIN or not pairs:
            continue
        for dash, prior in enumerate(PRIORS, start=1):
            shifted = np.mean([curve(plain, run, prior, least) for plain, run in pairs], axis=0)[:, ::-1].tolist()
            name = f"plain to {method}'s {'labels' if prior == 'now' else 'predictions'}"
            curves.append(Curve(name, shifted, number, dash))
            rows += [
                {"method": method, "of": f"plain, prior: {prior}", "at": float(exponent), "uar": uar, "war": war}
                for exponent, (uar, war) in zip(EXPONENTS, shifted, strict=True)
            ]
    title = f"{group.data}: WAR against UAR, a point a run"
    return Drawing("war_uar", chart(title, "UAR of classes with enough clips", "WAR", curves), rows)
