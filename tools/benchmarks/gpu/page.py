"""One page of a run: targets beside measurements, and every row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Results = dict[str, Any]
_CLIPS = 10_000  # of the epoch that the time between epochs is compared with
_QUIET = ("passed", "skipped")  # outcomes of tests that need no line


@dataclass(frozen=True)
class Target:
    """A target: a measure and its limit."""

    what: str
    sign: str
    limit: float
    measured: Callable[[Results], float]

    def line(self, results: Results) -> dict[str, Any]:
        """Return the target, the measurement, and whether it is met."""
        target = {"what": self.what, "wanted": f"{self.sign} {self.limit:g}"}
        try:
            value = self.measured(results)
        except (KeyError, ZeroDivisionError):
            return {**target, "measured": None, "met": None}
        return {**target, "measured": value, "met": value >= self.limit if self.sign == ">=" else value <= self.limit}


def _value(results: Results, stage: str, row: str, key: str = "clips_per_second") -> float:
    return float(results["stages"][stage]["rows"][row][key])


def _of_synthetic(row: str, key: str = "clips_per_second") -> Callable[[Results], float]:
    """Return a function that compares a way to train with training without decoding."""
    return lambda results: _value(results, "train", row, key) / _value(results, "train", "synthetic")


def _step_ratio(one: str, other: str) -> Callable[[Results], float]:
    """Return a function that compares two ways to take the step of the first backbone."""

    def ratio(results: Results) -> float:
        first = results["settings"]["step"]
        return _value(results, "step", f"{first}, {one}") / _value(results, "step", f"{first}, {other}")

    return ratio


def _of_the_book(results: Results) -> float:
    return _value(results, "train", "device cache") / _value(results, "train", "by the book")


def _gap(results: Results) -> float:
    rate = _value(results, "train", "device cache")
    return _value(results, "train", "from epoch to epoch", "gap_seconds") / (_CLIPS / rate)


def _wrong(results: Results) -> float:
    """Count the clips with another clip's pixels, or not those of a calm feed."""
    rows = [row for row in results["stages"]["race"]["rows"].values() if "wrong" in row]
    if not rows:
        raise KeyError("wrong")
    return float(sum(row["wrong"] + row["changed"] for row in rows))


def _failed_tests(results: Results) -> float:
    rows = results["stages"]["tests"]["rows"].values()
    outcomes = [row["outcome"] for row in rows if row.get("outcome") in ("passed", "failed")]
    if not outcomes:
        raise KeyError("outcome")
    return float(outcomes.count("failed"))


TARGETS = (
    Target("tests that need a GPU: failed", "<=", 0, _failed_tests),
    Target("clips with wrong or changed pixels under load", "<=", 0, _wrong),
    Target("trainer, device cache / synthetic", ">=", 0.95, _of_synthetic("device cache")),
    Target("trainer, host cache / synthetic", ">=", 0.90, _of_synthetic("host cache")),
    Target("trainer, first epoch from files / synthetic", ">=", 0.60, _of_synthetic("device cache", "first_epoch")),
    Target("waiting for data, device cache", "<=", 0.03, lambda r: _value(r, "train", "device cache", "waiting")),
    Target("step, graph / eager, bf16", ">=", 1.2, _step_ratio("graph bf16", "eager bf16")),
    Target("trainer, device cache / by the book", ">=", 5, _of_the_book),
    Target("epoch with 44 % pruned / full", "<=", 0.60, lambda r: _value(r, "train", "44 % pruned", "share")),
    Target("from epoch to epoch / epoch of 10,000 clips", "<=", 0.01, _gap),
    Target("memory's growth in short epochs, MB", "<=", 1, lambda r: _value(r, "train", "short epochs", "growth_MB")),
)


def targets(results: Results) -> list[dict[str, Any]]:
    """Return the targets beside the measurements."""
    return [target.line(results) for target in TARGETS]


def failures(results: Results) -> list[str]:
    """Return the stages and contestants that did not finish."""
    failed = []
    for name, stage in results["stages"].items():
        if stage.get("state") != "done":
            failed.append(f"{name}: {stage.get('state')}")
        failed += [f"{name}, {row}: {_fault(found)}" for row, found in stage.get("rows", {}).items() if _fault(found)]
    return failed


def _fault(row: dict[str, Any]) -> str | None:
    return row.get("error") or ("did not end" if row.get("state") == "begun" else None)


def page(results: Results) -> str:
    """Return the page in Markdown."""
    return "\n".join([*_head(results), *_targets(results), *_stages(results)]) + "\n"


def _head(results: Results) -> Iterator[str]:
    machine = results["stages"].get("machine", {}).get("rows", {}).get("environment", {})
    gpu = machine.get("gpu") or {"name": "no GPU"}
    yield f"# GPU bench: {gpu['name']}{', DRY RUN' if results['settings']['dry'] else ''}"
    yield ""
    yield from (f"- {name}: {_shown(value)}" for name, value in {**machine, **results["settings"]}.items())
    yield ""


def _targets(results: Results) -> Iterator[str]:
    yield from ("| target | wanted | measured | met |", "|---|---|---|---|")
    for line in targets(results):
        met = {True: "yes", False: "**no**", None: "-"}[line["met"]]
        yield f"| {line['what']} | {line['wanted']} | {_shown(line['measured'])} | {met} |"
    yield ""


def _stages(results: Results) -> Iterator[str]:
    for name, stage in results["stages"].items():
        yield f"## {name}: {stage.get('state', 'cut')}, {_shown(stage.get('seconds'))} s"
        yield from ("", "| what | measured |", "|---|---|")
        for row, found in stage.get("rows", {}).items():
            if found.get("outcome") not in _QUIET and row != "environment":
                yield f"| {row} | {_cell(found)} |"
        yield ""


def _cell(row: dict[str, Any]) -> str:
    words = {"error": "**failed**: {}", "left_out": "left out: {}"}
    parts = [words.get(key, f"{key} {{}}").format(_shown(value)) for key, value in row.items() if key != "took"]
    return ", ".join(parts).replace("|", "\\|")


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(each)}" for key, each in value.items())
    if isinstance(value, list):
        return "; ".join(map(_shown, value))
    return "-" if value is None else str(value)
