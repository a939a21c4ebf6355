"""The commands status, list, show and health. Each reads one snapshot of the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sciu.pipeline.errors import shown
from sciu.tools.command import json_option, print_json, print_table
from sciu.tools.purify.common import class_number, look_into, print_clips, run_argument
from sciu.tools.purify.places import Places, data_option, require_existing

if TYPE_CHECKING:
    from sciu.purification import Purifier
    from sciu.purification.care.report import Health
    from sciu.purification.event import Event

NEIGHBOURS = 2  # on each side: annotators label clips in order, so their mistakes cluster
KINDS = ("all", "training", "pruned", "corrected", "pinned", "quarantined")
SORTS = ("clip", "score", "margin", "label-score", "epoch")


@click.command()
@run_argument
@json_option
def status(run: Path, as_json: bool) -> None:
    """Show which epoch is open, how many clips train, and what every epoch decided.

    Example: sciu-purify status runs/dfew
    """
    from sciu.purification.clip_state import count_states

    with look_into(run) as purifier:
        events = [event for event in purifier.events() if event.kind == "epoch"]
        changed = [_counted(purifier.rows(event.number)) for event in events]
        policy = purifier.meta.policy  # as it was created: an earlier version had other settings
        epoch, counts, remarks = purifier.epoch, count_states(purifier.states()), purifier.policy.remarks()
    if as_json:
        epochs = [_epoch(event, rows) for event, rows in zip(events, changed, strict=True)]
        print_json({"epoch": epoch, **counts, "policy": policy, "epochs": epochs, "remarks": remarks})
        return
    click.echo(shown(f"epoch {epoch} is open; policy {json.dumps(policy, ensure_ascii=False)}"))
    for remark in remarks:
        click.echo(shown(f"note: {remark}"))
    names = ("clips", "training", "pruned", "corrected", "quarantined", "dropped", "pinned")
    print_table(names, [[counts[name] for name in names]])
    if events:
        click.echo()
        limits = sorted({name for event in events for name in event.thresholds}) or ["prune_below", "correct_above"]
        rows = [
            [event.epoch, event.scored, *counted.values(), *(_short(event.thresholds.get(name)) for name in limits),
             _spared(event.spared)]
            for event, counted in [*zip(events, changed, strict=True)][-20:]
        ]  # fmt: skip
        print_table(["epoch", "scored", *changed[0], *limits, "spared by guards"], rows)


@click.command("list")
@run_argument
@click.option("--what", type=click.Choice(KINDS), default="pruned", help="List clips of this kind.")
@click.option("--class", "given", help="List only clips that were given this label.")
@click.option(
    "--sort",
    type=click.Choice(SORTS),
    default="score",
    help="Sort by this, the most doubtful first; clip and epoch ascend. The score of method auto is the information.",
)
@click.option("--limit", type=click.IntRange(min=1), default=50, help="List at most this many clips.")
@data_option
@json_option
def list_clips(
    run: Path, what: str, given: str | None, sort: str, limit: int, data: Path | None, as_json: bool
) -> None:
    """List clips with their labels, scores and the reasons.

    The exit code is 1 if some of the listed paths do not exist.

    Example: sciu-purify list runs/dfew --what corrected --class Sad --sort margin
    """
    from sciu.purification.care.report import Report

    with look_into(run) as purifier:
        report = Report.of(purifier)
        clips = report.chosen(what)
        if given is not None:
            clips = clips[report.states.given[clips] == class_number(purifier, given)]
        rows = Places.of(purifier, run, data).rows(report, report.doubtful(clips, sort)[:limit])
        epoch, grounds = purifier.epoch, purifier.policy.grounds_shown.values()
    if as_json:
        print_json({"clips": [row.to_json() for row in rows], "count": len(clips)})
    elif rows:
        print_clips(("clip", "path", "given", "label", *grounds, "first_epoch", "why"), rows)
        if len(clips) > limit:
            click.echo(f"... and {len(clips) - limit:,} more; --limit shows them.")
    else:
        click.echo(shown(_why_none(what, given, {kind: len(report.chosen(kind)) for kind in KINDS}, epoch)))
    require_existing(rows)


def _why_none(what: str, given: str | None, counts: dict[str, int], epoch: int) -> str:
    """Say why no clip is listed, and what to try."""
    such = "in the training set" if what == "all" else what
    if counts[what]:
        return f"No clip of class {given} is {such}, but {counts[what]:,} of other classes. Leave out --class."
    if epoch == 1 and what in ("pruned", "corrected"):
        return f"No clip is {such} yet: the policy decides when an epoch ends, and the first one is open."
    others = ", ".join(f"{kind} {count:,}" for kind, count in counts.items() if count)
    return (
        f"No clip is {such} in epoch {epoch}. Choose with --what: {others}. `sciu-purify status RUN` shows what every"
        " epoch decided."
    )


@click.command()
@run_argument
@click.argument("clip")
@data_option
@json_option
def show(run: Path, clip: str, data: Path | None, as_json: bool) -> None:
    """Show the whole history of a clip. CLIP is its id, its path, or the end of its path.

    The exit code is 1 if the clip's path, or that of a neighbour, does not exist.

    Example: sciu-purify show runs/dfew 01234.mp4
    """
    from sciu.purification.care.report import Report

    with look_into(run) as purifier:
        places, report = Places.of(purifier, run, data), Report.of(purifier)
        number = places.number(clip)
        (row,) = places.rows(report, [number])
        scores, names = purifier.scores(number), purifier.class_names
        life = _life(purifier, number)
        ours = report.chosen("all")
        near = ours[(abs(ours - number) <= NEIGHBOURS) & (ours != number)]
        neighbours = places.rows(report, near)
    if as_json:
        scored = [{"epoch": e, "weight": w, "probabilities": dict(zip(names, p, strict=True))} for e, w, p in scores]
        near_rows = [each.to_json() for each in neighbours]
        print_json({**row.to_json(), "scores": scored, "history": life, "neighbours": near_rows})
    else:
        click.echo(shown(f"clip {number}  {row.path}"))
        click.echo(shown(f"given {row.given}, now {row.label}, {row.status}"))
        for entry in life:
            click.echo(shown(f"  epoch {entry['epoch']:>4}  {entry['time']}  {entry['what']}"))
        if not life:
            click.echo("  nothing has ever been changed")
        if scores:
            click.echo("\nlast scores")
            cells = [[score[0], *(f"{value:.3f}" for value in (score[1], *score[2]))] for score in scores]
            print_table(["epoch", "weight", *names], cells)
        click.echo("\nbefore and after it in the dataset")
        print_clips(("clip", "path", "given", "label", "status"), neighbours)
    require_existing([row, *neighbours])


def _life(purifier: Purifier, clip: int) -> list[dict[str, Any]]:
    """Return all that happened to a clip, each in a sentence."""
    from sciu.purification.care.explain import reason

    return [
        {"epoch": entry.event.epoch, "time": entry.event.time, "what": reason(purifier, entry.event, entry.row)}
        for entry in purifier.history(clip)
    ]


@click.command()
@run_argument
@click.option("--worst", type=click.IntRange(min=0), default=10, help="List this many of the most doubtful labels.")
@data_option
@json_option
def health(run: Path, worst: int, data: Path | None, as_json: bool) -> None:
    """Show the dataset's health: counts per class, confused labels, estimated noise, the most doubtful labels.

    The exit code is 1 if some of the listed paths do not exist.

    Example: sciu-purify health runs/dfew
    """
    from sciu.purification.care.report import Report
    from sciu.purification.care.report import health as measure

    with look_into(run) as purifier:
        report = Report.of(purifier)
        answer = measure(report, purifier, worst)
        rows = Places.of(purifier, run, data).rows(report, [row.clip for row in answer.worst])
        answer, names = replace(answer, worst=rows), purifier.class_names
    if as_json:
        print_json(answer.to_json())
    else:
        _print_health(answer, names)
    require_existing(answer.worst)


def _print_health(answer: Health, names: Sequence[str]) -> None:
    counts = [each.to_json() for each in answer.classes]
    print_table(list(counts[0]), [list(row.values()) for row in counts])
    if answer.pairs:
        click.echo("\nrelabelled")
        print_table(["given", "label", "clips"], answer.pairs)
    if answer.noise:
        click.echo("\nestimated share of clips of a given label (row) that are of a class (column)")
        rows = [[name, *(f"{share:.2f}" for share in row)] for name, row in zip(names, answer.noise, strict=True)]
        print_table(["given", *names], rows)
    if answer.worst:
        click.echo("\nlabels that the network doubts most")
        print_clips(("clip", "path", "given", "label", "predicted", "label_score"), answer.worst)


def _epoch(event: Event, counted: dict[str, int]) -> dict[str, Any]:
    return {"epoch": event.epoch, "scored": event.scored, **counted, **event.thresholds, "spared": event.spared}


def _counted(rows: Any) -> dict[str, int]:
    from sciu.purification.clip_state import Action

    kinds = {"pruned": Action.PRUNE, "corrected": Action.CORRECT, "restored": Action.RESTORE}
    return {name: int((rows["action"] == action).sum()) for name, action in kinds.items()}


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _spared(spared: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in spared.items()) or "-"
