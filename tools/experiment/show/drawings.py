"""A group's results -> figures, each with the numbers behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sciu.tools.experiment.results.read import PLAIN, Group, Result
from sciu.tools.experiment.results.shift import EXPONENTS, PRIORS, curve
from sciu.tools.experiment.results.statistics import large_classes, uar_of
from sciu.tools.experiment.show.svg import Chart, squares

Rows = list[dict[str, Any]]
_BINS = 10


@dataclass(frozen=True)
class Figure:
    """A picture and its numbers."""

    name: str
    svg: str
    rows: Rows


def drawings(group: Group, least: int) -> Iterator[Figure]:
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


def _confusions(group: Group) -> Figure:
    """Show the shares of each class's test clips by predicted class, as in the paper's Figure 3."""
    panels, rows, classes = [], [], group.any().classes
    for method, runs in group.methods.items():
        counts = np.sum([run.confusion().counts for run in runs.values()], axis=0)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        panels.append((method, 100 * shares))
        rows += _cells(method, shares, classes, "predicted")
    return Figure("confusion", squares(f"{group.data}: test clips, % of each class", panels, classes, ".0f"), rows)


def _cells(method: str, table: np.ndarray, classes: list[str], across: str) -> Rows:
    return [
        {"method": method, "class": classes[row], across: classes[column], "value": float(table[row, column])}
        for row, column in np.ndindex(table.shape)
    ]


def _over_epochs(group: Group, what: str, title: str, axis: str) -> Figure:
    """Show the mean over seeds in each epoch."""
    chart, rows = Chart(f"{group.data}: {title}", "epoch", axis), []
    for number, (method, runs) in enumerate(group.methods.items()):
        values: dict[int, list[float]] = {}
        for run in runs.values():
            for epoch in run.content["epochs"]:
                if epoch[what] is not None:
                    values.setdefault(epoch["epoch"], []).append(epoch[what])
        means = [(epoch, float(np.mean(found))) for epoch, found in sorted(values.items())]
        chart.line(method, means, number, dash=number // 8)
        rows += [{"method": method, "epoch": epoch, axis: value} for epoch, value in means]
    return Figure(f"{what}_over_epochs", chart.svg(), rows)


def _reliability(group: Group, name: str, title: str, x: str, y: str, pairs: Callable[[Result], np.ndarray]) -> Figure:
    """Show how often predictions are right, in tenths of their probability; fewer than 10 clips give no point."""
    chart, rows = Chart(f"{group.data}: {title}", x, y, (0, 1), (0, 1)), []
    chart.line("", [(0, 0), (1, 1)], 7, dash=2)
    for number, (method, runs) in enumerate(group.methods.items()):
        found = np.concatenate([pairs(run) for run in runs.values()])
        place = np.minimum((found[:, 0] * _BINS).astype(int), _BINS - 1)
        points = []
        for k in range(_BINS):
            here = found[place == k]
            if len(here) >= 10:
                points.append(here.mean(axis=0).tolist())
                rows.append({"method": method, x: points[-1][0], y: points[-1][1], "clips": len(here)})
        chart.line(method, points, number, dash=number // 8)
    return Figure(name, chart.svg(), rows)


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


def _weights(group: Group) -> Figure:
    """Show the clip weights of clips that were kept and of those that were pruned, as in the paper's Figure 4 (a)."""
    chart, rows = Chart(f"{group.data}: weights of clips", "weight", "share of clips"), []
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
            chart.line(f"{method}, {kind}", points, number, dash=dash)
            rows += [{"method": method, "clips": kind, "weight": x, "share": y} for x, y in points]
    return Figure("weights", chart.svg(), rows)


def _corrections(group: Group) -> Figure:
    """Show which labels were corrected into which, as in the paper's Figure 4 (b); mean counts of a run."""
    panels, rows, classes = [], [], group.any().classes
    for method, runs in group.methods.items():
        counts = np.zeros((len(classes), len(classes)))
        for run in runs.values():
            arrays = run.arrays()
            changed = (arrays["now"] >= 0) & (arrays["now"] != arrays["given"])
            np.add.at(counts, (arrays["given"][changed], arrays["now"][changed]), 1 / len(runs))
        if counts.any():
            panels.append((method, counts))
            rows += _cells(method, counts, classes, "corrected to")
    return Figure("corrections", squares(f"{group.data}: labels corrected", panels, classes, ".0f"), rows)


def _trade(group: Group, least: int) -> Figure:
    """Show WAR against UAR, and plain training shifted to the priors that each method found."""
    chart, rows = Chart(f"{group.data}: WAR against UAR", "UAR of classes with enough clips", "WAR"), []
    for number, (method, runs) in enumerate(group.methods.items()):
        for run in runs.values():
            counts = run.confusion().counts
            point = (uar_of(counts, large_classes(counts, least)) or 0.0, run.content["last"]["war"])
            chart.points(method, [point], number)
            rows.append({"method": method, "of": "run", "at": run.unit, "uar": point[0], "war": point[1]})
        pairs = [(group.of(PLAIN)[unit], run) for unit, run in runs.items() if unit in group.of(PLAIN)]
        if method == PLAIN or not pairs:
            continue
        for dash, prior in enumerate(PRIORS, start=1):
            points = np.mean([curve(plain, run, prior, least) for plain, run in pairs], axis=0)[:, ::-1].tolist()
            chart.line(
                f"plain to {method}'s {'labels' if prior == 'now' else 'predictions'}", points, number, dash=dash
            )
            rows += [
                {"method": method, "of": f"plain, prior: {prior}", "at": float(exponent), "uar": uar, "war": war}
                for exponent, (uar, war) in zip(EXPONENTS, points, strict=True)
            ]
    return Figure("war_uar", chart.svg(), rows)
