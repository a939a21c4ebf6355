"""What the page shows, section by section: runs as the values that its template and its script take."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from sciu.tools import version
from sciu.tools.report.charts import Chart, confusion, curves, distribution
from sciu.tools.report.gallery import gallery
from sciu.tools.report.headline import Figure, differing, headline, percent, plain_among
from sciu.tools.report.records import KINDS, RunRecord

Table = list[tuple[str, str]]

_MOST_ROWS = 1000  # of a table whose length depends on the dataset; 300 bytes each
_MOST_CLASSES = 200  # of a confusion matrix; 400 kB then
_PROGRAM = re.compile(r"^\S*(?:sciu-train|train\.py|__main__\.py train)(?= |$)")


@dataclass
class Charts:
    """The charts of a page, by the id of the place where each is drawn."""

    drawn: dict[str, Chart] = field(default_factory=dict)

    def add(self, chart: Chart) -> str:
        """Add a chart and return its place."""
        place = f"chart-{len(self.drawn)}"
        self.drawn[place] = chart
        return place


def page_of(runs: Sequence[RunRecord]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the page's template shows, and the data of its script."""
    charts, plain = Charts(), plain_among(runs)
    figures = {run.name: headline(run, plain) for run in runs}
    content = {
        "title": ", ".join(run.name for run in runs) if len(runs) < 4 else f"{len(runs)} runs",
        "made": f"{datetime.now(timezone.utc):%d %B %Y, %H:%M} UTC",
        "version": version(),
        "plain": plain.name if plain and len(runs) > 1 else "",
        "differing": [(run.name, also) for run in runs if (also := differing(run, plain))],
        "curves": [(title, charts.add(chart)) for title, chart in curves(runs)]
        if any(run.history for run in runs)
        else [],
        "runs": [_run(number, run, figures[run.name], charts) for number, run in enumerate(runs)],
    }
    return content, {"charts": charts.drawn, "runs": [gallery(run) for run in runs]}


def _run(number: int, run: RunRecord, figures: list[Figure], charts: Charts) -> dict[str, Any]:
    decisions = run.decisions
    return {
        "number": number,
        "name": run.name,
        "facts": _facts(run),
        "notes": _notes(run),
        "figures": figures,
        "detection": _detection(run),
        "confusions": _confusions(run, charts),
        "measures": [(each.name, charts.add(distribution(each))) for each in decisions.measures],
        "clips": {
            kind: {"all": decisions.count(kind), "shown": sum(clip.kind == kind for clip in decisions.clips)}
            for kind in KINDS
        },
        "shown": len(decisions.clips),
        "previews": decisions.previews,
        "pairs": _pairs(run)[:_MOST_ROWS],
        "pairs_in_all": len(decisions.pairs),
        "classes": [each.to_json() for each in decisions.classes],
        "spared": _spared(run),
        "interventions": decisions.interventions[-_MOST_ROWS:],
        "interventions_in_all": len(decisions.interventions),
        "faults": sorted(decisions.faults.items(), key=lambda each: -each[1])[:_MOST_ROWS],
        "faults_in_all": len(decisions.faults),
        "remarks": decisions.remarks,
        "environment": _environment(run),
        "commands": commands(run),
        "settings": _settings(run),
    }


def _facts(run: RunRecord) -> list[str]:
    settings, data = run.card.settings, run.card.dataset
    return [f"method {settings.method}", settings.backbone, data.name, f"fold {settings.fold}", f"seed {settings.seed}"]


def _notes(run: RunRecord) -> list[str]:
    """Return what a reader must know of this run before its numbers."""
    from sciu.pipeline.train.record.history import ending

    found, done = [], f"{run.epochs_done:,} of {run.card.settings.epochs:,} epochs"
    ended = ending(run.history, run.card.settings)
    if not run.history:
        found.append("No epoch has ended yet: there are no results, only the configuration.")
    elif ended is None:
        found.append(f"The run is not finished: {done} have ended.")
    elif ended == "patience":
        found.append(f"The run ended after {done}: for as many evaluations as it was to wait, none was the best.")
    if not run.decisions.media:
        found.append(
            f"The dataset was not found in '{run.card.dataset.folder}': there are no previews, and paths are those of"
            " when the run began. If it was moved, give its folder: --data DIR."
        )
    return found


def _confusions(run: RunRecord, charts: Charts) -> Table:
    """Return the first and the last evaluation; one if there is no other, none if there are too many classes."""
    if len(run.card.dataset.classes) > _MOST_CLASSES:
        return []
    chosen = run.evaluations[:1] + run.evaluations[1:][-1:]
    return [
        (f"Epoch {epoch}, {split}: WAR {percent(result.war)}, UAR {percent(result.uar)}", charts.add(confusion(result)))
        for epoch, split, result in chosen
    ]


def _pairs(run: RunRecord) -> list[dict[str, Any]]:
    """Return the pairs of classes between which labels were corrected, with the share of the given class."""
    given = {each.name: each.given for each in run.decisions.classes}
    return [
        {"given": before, "label": after, "clips": clips, "of": given[before]}
        for before, after, clips in run.decisions.pairs
    ]


def _spared(run: RunRecord) -> list[tuple[int, int, str]]:
    """Return for each epoch in which guards kept clips how many, in all and by class."""
    epochs: dict[int, list[tuple[str, int]]] = {}
    for epoch, name, clips in run.decisions.spared:
        epochs.setdefault(epoch, []).append((name, clips))
    return [
        (epoch, sum(clips for _, clips in parts), ", ".join(f"{name} {clips:,}" for name, clips in parts))
        for epoch, parts in epochs.items()
    ]


def _detection(run: RunRecord) -> Table:
    """Return how much of the faults that the dataset's truth knows was found."""
    found = run.summary.detection if run.summary else None
    rows: Table = []
    for name, value in (found or {}).items():
        if name == "class_members_kept":
            continue
        parts = value.items() if isinstance(value, Mapping) else [("", value)]
        rows += [(f"{name.replace('_', ' ')} {part}".strip(), _figure(each)) for part, each in parts]
    return rows


def _figure(value: Any) -> str:
    return "–" if value is None else f"{value:.1%}" if isinstance(value, float) else f"{value:,}"


# ---- configuration


def _environment(run: RunRecord) -> Table:
    card, summary = run.card, run.summary
    rows = [
        ("run", card.run), ("folder", str(run.folder.absolute())), ("dataset", card.dataset.folder),
        ("dataset's fingerprint", card.dataset.fingerprint), ("created", card.store), ("sciu", card.version),
        ("device", summary.device if summary else ""), ("data pipeline", card.settings.pipeline),
        *((f"labels from: {name}", value) for name, value in (card.labels_from or {}).items()),
    ]  # fmt: skip
    return [(name, value) for name, value in rows if value]


def commands(run: RunRecord) -> Table:
    """Return the command that began a run, and the one that begins another with the same settings."""
    from sciu.pipeline.train.record.run_folder import RunFolder

    began = _PROGRAM.sub("sciu-train", run.card.command)
    settings = RunFolder(run.folder.absolute()).settings
    again = ["sciu-train", run.card.dataset.folder, "--out", "NEW", "--config", os.fspath(settings)]
    found = [("As it was begun", began), ("The same settings again", shlex.join(again))]
    return [(what, command) for what, command in found if command]


def _settings(run: RunRecord) -> list[tuple[str, str, str]]:
    """Return name, value and origin of each setting; those that were set come first."""
    origins = run.card.origins
    rows = [(name, str(value), origins.get(name, "")) for name, value in vars(run.card.settings).items()]
    return sorted(rows, key=lambda row: row[2] in ("", "default"))
