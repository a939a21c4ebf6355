"""Results -> tables: methods side by side, against plain training, what was found; or in the shape of papers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sciu.pipeline.errors import require
from sciu.tools.experiment.grid.spec import PARTS
from sciu.tools.experiment.results.detectors import Found, by_confident_learning, by_margins
from sciu.tools.experiment.results.measures import (
    ACCURACY,
    AGAINST_PLAIN,
    DETECTION,
    KEPT,
    RECALL,
    Measure,
    count_large,
    measures,
)
from sciu.tools.experiment.results.read import ORACLE, PLAIN, Group
from sciu.tools.experiment.results.shift import PRIORS, lead
from sciu.tools.experiment.results.statistics import Spread, gap_share, paired


@dataclass(frozen=True)
class Table:
    """Text in rows."""

    title: str
    header: list[str]
    rows: list[list[str]]


def by_method(group: Group, least: int, wanted: Sequence[str]) -> Iterator[Table]:
    """Yield the tables of one dataset and backbone, a row a method."""
    known = _measures([group], least, wanted)
    where = f"{group.data}, {group.backbone}"
    accuracy, against, found = (
        {name: known[name] for name in names if name in known} for names in (ACCURACY, AGAINST_PLAIN, DETECTION)
    )
    if accuracy:
        yield _plainly(group, f"{where}: accuracy{_of_which_epoch(group)}", accuracy)
    if against and len(group.methods) > 1 and group.of(PLAIN):
        yield _against_plain(group, f"{where}: against plain, paired by seed", against)
        if (control := _control(group, f"{where}: against plain with a shifted prior", least)).rows:
            yield control
    if found:
        yield _plainly(group, f"{where}: what was found", found)
    if "doubted_f1" in found and (detectors := _detectors(group, f"{where}: wrong labels found, by whom")).rows:
        yield detectors
    for start, title in ((RECALL, "recall of each class"), (KEPT, "share of each class's true members that is kept")):
        if columns := {name: each for name, each in known.items() if name.startswith(start)}:
            yield _plainly(group, f"{where}: {title}", columns)


def _of_which_epoch(group: Group) -> str:
    return f" of the last epoch; the best one was chosen on the {group.any().content['best']['chosen_on']} clips"


def _measures(groups: Sequence[Group], least: int, wanted: Sequence[str]) -> dict[str, Measure]:
    """Return the requested measures that these groups have, all if none is named."""
    large = [count for group in groups if (count := count_large(group.any(), least)) is not None]
    classes = dict.fromkeys(name for group in groups for name in group.any().classes)
    known = measures(least, min(large, default=None), list(classes))
    return {name: known[name] for name in wanted if name in known} if wanted else known


def require_known(groups: Sequence[Group], least: int, wanted: Sequence[str]) -> None:
    """Raise an error for measures that no group has."""
    known = _measures(groups, least, ())
    for name in wanted:
        require(name in known, "--metric", f"one of {', '.join(known)}", repr(name))


def values(group: Group, method: str, measure: Measure) -> dict[str, float | None]:
    """Return a measure of a method's runs, by unit."""
    return {unit: measure.read(run) for unit, run in group.of(method).items()}


def _spread(group: Group, method: str, measure: Measure) -> Spread | None:
    return Spread.of(list(values(group, method, measure).values()))


def _plainly(group: Group, title: str, columns: dict[str, Measure]) -> Table:
    rows = [
        [method, str(len(runs)), *(shown(_spread(group, method, each), each) for each in columns.values())]
        for method, runs in group.methods.items()
    ]
    return Table(title, ["method", "runs", *(each.title for each in columns.values())], rows)


def _against_plain(group: Group, title: str, columns: dict[str, Measure]) -> Table:
    header, rows = ["method", "pairs"], []
    for each in columns.values():
        header += [f"{each.title} - plain", "95 %", "of the oracle's gain"]
    for method in group.methods:
        row = [method, str(len(group.of(method).keys() & group.of(PLAIN).keys()))]
        for each in columns.values():
            row += _difference(group, method, each)
        rows += [row] if method != PLAIN else []
    return Table(title, header, rows)


def _difference(group: Group, method: str, measure: Measure) -> list[str]:
    """Return the paired difference to plain, its interval, and the share of the gap that is closed."""
    difference = paired(values(group, method, measure), values(group, PLAIN, measure))
    if difference is None:
        return ["-", "-", "-"]
    interval = difference.interval
    between = f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}" if interval else "-"
    share = _gap_share(group, method, measure) if method != ORACLE else None
    return [f"{100 * difference.mean:+.1f}", between, "-" if share is None else f"{share:.0%}"]


def _gap_share(group: Group, method: str, measure: Measure) -> float | None:
    """Return the share of the oracle's gain over plain, on the seeds that all three have."""
    ours, plain, oracle = (values(group, name, measure) for name in (method, PLAIN, ORACLE))
    common = ours.keys() & plain.keys() & oracle.keys()
    gains = [paired({unit: each[unit] for unit in common}, plain) for each in (ours, oracle)]
    return gap_share(gains[0].mean, 0.0, gains[1].mean) if gains[0] and gains[1] else None


def _control(group: Group, title: str, least: int) -> Table:
    header = ["method", "above the curve", "its hardest point", "WAR ahead", "UAR ahead", "standard errors"]
    rows = []
    for method in group.methods:
        if (found := lead(group, method, least)) is None:
            continue
        errors = "-" if found.errors is None else f"{found.errors:+.1f}"
        rows.append([
            method, "yes" if found.above else "no", f"prior of {PRIORS[found.prior]}, times {found.exponent:g}",
            f"{100 * found.war.mean:+.1f}", f"{100 * found.uar.mean:+.1f}", errors,
        ])  # fmt: skip
    return Table(title, header, rows)


def _detectors(group: Group, title: str) -> Table:
    """Compare the detectors of wrong labels: a run's averages, its margins over the epochs, and cleanlab."""
    found: dict[tuple[str, str], list[Found | None]] = {}
    for method, runs in group.methods.items():
        found[method, "1"] = [run.content["doubted"] for run in runs.values()]
        found[f"{method}, over all epochs", "1"] = [by_margins(run) for run in runs.values()]
    found["cleanlab on unseen clips", str(PARTS)] = [by_confident_learning(parts) for parts in group.parts.values()]
    rows = []
    for (detector, trainings), runs_found in found.items():
        if scored := [each for each in runs_found if each and each["recall"] is not None]:  # there are wrong labels
            spreads = [Spread.of([each[name] for each in scored]) for name in ("precision", "recall", "f1")]
            shares = [shown(spread, Measure("", lambda _run: None)) for spread in spreads]
            rows.append([detector, trainings, str(len(scored)), *shares])
    return Table(title, ["by", "trainings", "runs", "precision", "recall", "F1"], rows)


def as_in_papers(groups: Sequence[Group], least: int, wanted: Sequence[str]) -> Table:
    """Return one table: a row a backbone and method, with the requested measures of each dataset."""
    by_data = {
        name: _measures([group for group in groups if group.data == name], least, wanted or ("war", "uar"))
        for name in dict.fromkeys(group.data for group in groups)
    }
    by_place = {(group.data, group.backbone): group for group in groups}
    titles = (f"{name} {each.title}" for name, known in by_data.items() for each in known.values())
    header = ["backbone", "method", *titles]
    rows = []
    for backbone in dict.fromkeys(group.backbone for group in groups):
        for method in dict.fromkeys(
            method for group in groups if group.backbone == backbone for method in group.methods
        ):
            row = [backbone, method]
            for name, known in by_data.items():
                group = by_place.get((name, backbone))
                row += [shown(_spread(group, method, each), each) if group else "-" for each in known.values()]
            rows.append(row)
    return Table("all", header, rows)


def numbers(groups: Sequence[Group], least: int, wanted: Sequence[str]) -> list[dict[str, Any]]:
    """Return everything as numbers, a row a dataset, backbone, method and measure."""
    found = []
    for group in groups:
        for method in group.methods:
            for name, measure in _measures([group], least, wanted).items():
                if (spread := _spread(group, method, measure)) is not None:
                    difference = paired(values(group, method, measure), values(group, PLAIN, measure))
                    found.append({
                        "data": group.data, "backbone": group.backbone, "method": method, "measure": name,
                        "runs": spread.count, "mean": spread.mean, "deviation": spread.deviation,
                        **_compared(difference if method != PLAIN else None),
                    })  # fmt: skip
    return found


def _compared(difference: Spread | None) -> dict[str, float | None]:
    low, high = (difference.interval if difference else None) or (None, None)
    return {"minus_plain": difference.mean if difference else None, "low": low, "high": high}


def shown(spread: Spread | None, measure: Measure) -> str:
    """Return a mean and its standard deviation as short text."""
    if spread is None:
        return "-"
    scale, digits = (100.0, 1) if measure.share else (1.0, measure.digits)
    mean = f"{scale * spread.mean:,.{digits}f}"
    return mean if spread.deviation is None else f"{mean} ± {scale * spread.deviation:,.{digits}f}"
