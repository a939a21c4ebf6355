"""The numbers at the head of a report, against the plain run if there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sciu.tools.command import duration
from sciu.tools.report.records import RunRecord


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number as it is shown."""

    what: str
    value: str
    note: str = ""
    gain: float | None = None  # over the plain run, in points
    comparable: bool = True  # with the plain run: nothing else differs that a gain may be due to


def plain_among(runs: Sequence[RunRecord]) -> RunRecord | None:
    """Return the run that the others are compared with: the first plain one that was evaluated."""
    return next((run for run in runs if run.is_plain and run.evaluations), None)


def differing(run: RunRecord, plain: RunRecord | None) -> str:
    """Say in what else than the method a run differs from the plain one; empty: in nothing, or it is not compared."""
    if plain is None or plain is run or not run.evaluations:
        return ""
    pairs = zip(_conditions(run).items(), _conditions(plain).values(), strict=True)
    return ", ".join(f"{what} {ours} / {theirs}" for (what, ours), theirs in pairs if ours != theirs)


def _conditions(run: RunRecord) -> dict[str, str]:
    """Return by name what must be the same in two runs, for a difference of their results to be the method's."""
    card, settings = run.card, run.card.settings
    return {
        "epochs": f"{run.epochs_done:,}",
        "fold": str(settings.fold),
        "seed": str(settings.seed),
        "split": card.dataset.fingerprint[:8],
        "backbone": f"{settings.backbone} {card.backbone[:8]}".strip(),
        "evaluated on": run.evaluations[-1][1],
    }


def headline(run: RunRecord, plain: RunRecord | None) -> list[Figure]:
    """Return a run's numbers; the same ones for every run."""
    return [*_recalls(run, plain), *_clips(run), *_progress(run)]


def _recalls(run: RunRecord, plain: RunRecord | None) -> list[Figure]:
    best = run.summary
    if not run.evaluations:
        return [Figure(what=what, value="–", note="not evaluated yet") for what in ("WAR", "UAR", "Best WAR")]
    epoch, split, last = run.evaluations[-1]
    other = plain.evaluations[-1][2] if plain and plain is not run else None
    same = not differing(run, plain)
    gains = None if other is None else (100 * (last.war - other.war), 100 * (last.uar - other.uar))
    where = f"{split}, epoch {epoch:,}"
    found = [
        Figure(what="WAR", value=percent(last.war), note=where, gain=gains and gains[0], comparable=same),
        Figure(what="UAR", value=percent(last.uar), note=where, gain=gains and gains[1], comparable=same),
    ]
    if best is None or best.war_best is None:
        return [*found, Figure(what="Best WAR", value="–")]
    note = f"epoch {best.best_epoch:,}, by {best.best_chosen_on}"
    return [*found, Figure(what="Best WAR", value=percent(best.war_best), note=note)]


def _clips(run: RunRecord) -> list[Figure]:
    counts = run.decisions.counts
    total = counts["clips"]
    shares = {what: f"{counts[what] / total:.1%} of {total:,}" if total else "" for what in ("pruned", "corrected")}
    quarantined = f", {counts['quarantined']:,} quarantined" if counts["quarantined"] else ""
    return [
        Figure(what="Training clips", value=f"{counts['training']:,}", note=f"of {total:,}{quarantined}"),
        *(Figure(what=what.capitalize(), value=f"{counts[what]:,}", note=note) for what, note in shares.items()),
        Figure(what="By people", value=f"{counts['people']:,}", note="decided"),
    ]


def _progress(run: RunRecord) -> list[Figure]:
    seconds = sum(record.spent.seconds for record in run.history)
    speed = f"{run.history[-1].clips_per_second:,.0f} clips/s" if run.history else ""
    return [
        Figure(what="Epochs", value=f"{run.epochs_done:,}", note=f"of {run.card.settings.epochs:,}"),
        Figure(what="Time", value=duration(seconds), note=speed),
    ]


def percent(share: float) -> str:
    """Return a share as a percentage."""
    return f"{share:.1%}"
