"""`sciu-purify`: look into a purifier's store, decide yourself, take decisions back, take its verdicts elsewhere."""

from __future__ import annotations

import csv
import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sciu.tools.command import Group, json_option, print_json, print_table
from sciu.tools.exports import FORMATS, write_rows

if TYPE_CHECKING:
    from sciu.purification import Pin, Purifier
    from sciu.purification.report import Report

NEIGHBOURS = 2  # on each side: annotators work in runs, and so do their mistakes
SHOWN = 20
ACTIONS = ("keep", "drop", "label", "free")
KINDS = ("all", "training", "pruned", "corrected", "pinned", "quarantined")
SORTS = ("clip", "score", "margin", "label-score", "epoch")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


_run = click.argument("run", type=click.Path(path_type=Path))
_who = click.option("--who", default=_user, show_default="you", help="Who says so.")
_why = click.option("--why", default="", help="Why; it stays in the history.")


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """See what was pruned and corrected and why; pin, undo, export, verify.

    RUN is the folder of a training run, or the store itself. Looking works while a training is writing; what you pin or
    undo meanwhile holds from its next epoch on.
    """


# ---- looking


@main.command()
@_run
@json_option
def status(run: Path, as_json: bool) -> None:
    """Say which epoch is open, how many clips train, and what every epoch decided.

    Example: sciu-purify status runs/dfew
    """
    from sciu.purification.policy import policy_to_json
    from sciu.purification.state import count_states

    with _look(run) as purifier:
        events = [event for event in purifier.events() if event["kind"] == "epoch"]
        epochs = [
            {
                "epoch": event["epoch"],
                "scored": event["scored"],
                **{name: int(count) for name, count in _counted(purifier.rows(event["event"])).items()},
                **event["thresholds"],
                "spared": event["spared"],
            }
            for event in events
        ]
        policy = policy_to_json(purifier.policy)
        answer = {"epoch": purifier.epoch, **count_states(purifier.states()), "policy": policy, "epochs": epochs}
        remarks = purifier.policy.remarks()
    if as_json:
        print_json({**answer, "remarks": remarks})
        return
    click.echo(f"epoch {answer['epoch']} is open; policy {json.dumps(policy)}")
    for remark in remarks:
        click.echo(f"note: {remark}")
    names = ("clips", "training", "pruned", "corrected", "quarantined", "dropped", "pinned")
    print_table(names, [[answer[name] for name in names]])
    if epochs:
        click.echo()
        columns = ("epoch", "scored", "pruned", "corrected", "restored")
        limits = ("prune_below", "correct_above")
        rows = [
            [*(row[name] for name in columns), *(_short(row.get(name)) for name in limits), _spared(row["spared"])]
            for row in epochs[-20:]
        ]
        print_table([*columns, *limits, "spared by guards"], rows)


@main.command("list")
@_run
@click.option("--what", type=click.Choice(KINDS), default="pruned")
@click.option("--class", "given", help="Only clips given this label.")
@click.option("--sort", type=click.Choice(SORTS), default="score", help="What is most doubtful comes first.")
@click.option("--limit", type=click.IntRange(min=1), default=50)
@json_option
def list_clips(run: Path, what: str, given: str | None, sort: str, limit: int, as_json: bool) -> None:
    """List clips with what is believed of them and why.

    Example: sciu-purify list runs/dfew --what corrected --class Sad --sort margin
    """
    from sciu.purification.report import Report

    with _look(run) as purifier:
        report = Report.of(purifier)
        clips = report.chosen(what)
        if given is not None:
            clips = clips[report.states.given[clips] == _class_number(purifier, given)]
        rows = _rows(report, purifier, report.doubtful(clips, sort)[:limit])
    if as_json:
        print_json({"clips": rows, "count": len(clips)})
        return
    columns = ("clip", "path", "given", "label", "score", "margin", "first_epoch", "why")
    print_table(columns, [[row[name] for name in columns] for row in rows])
    if len(clips) > limit:
        click.echo(f"... and {len(clips) - limit:,} more; --limit shows them.")


@main.command()
@_run
@click.argument("clip")
@json_option
def show(run: Path, clip: str, as_json: bool) -> None:
    """Tell a clip's whole life. CLIP is its id, its path, or the end of its path.

    Example: sciu-purify show runs/dfew 01234.mp4
    """
    from sciu.purification.explain import reason
    from sciu.purification.report import Report

    with _look(run) as purifier:
        number = _clip_number(purifier, clip)
        report = Report.of(purifier)
        (row,) = _rows(report, purifier, [number])
        scores, names = purifier.scores(number), purifier.class_names
        life = [
            {
                "epoch": entry.event["epoch"],
                "time": entry.event["time"],
                "what": reason(purifier, entry.event, entry.row),
            }
            for entry in purifier.history(number)
        ]
        ours = report.chosen("all")
        near = ours[(abs(ours - number) <= NEIGHBOURS) & (ours != number)]
        neighbours = _rows(report, purifier, near)
    if as_json:
        told = [{"epoch": e, "weight": w, "probabilities": dict(zip(names, p, strict=True))} for e, w, p in scores]
        print_json({**row, "scores": told, "history": life, "neighbours": neighbours})
        return
    click.echo(f"clip {number}  {row['path']}\ngiven {row['given']}, now {row['label']}, {row['status']}")
    for entry in life:
        click.echo(f"  epoch {entry['epoch']:>4}  {entry['time']}  {entry['what']}")
    if not life:
        click.echo("  nothing has ever been changed")
    if scores:
        click.echo("\nlast scores")
        cells = [[score[0], *(f"{value:.3f}" for value in (score[1], *score[2]))] for score in scores]
        print_table(["epoch", "weight", *names], cells)
    click.echo("\nbefore and after it in the dataset")
    columns = ("clip", "path", "given", "label", "status")
    print_table(columns, [[clip[name] for name in columns] for clip in neighbours])


@main.command()
@_run
@click.option("--worst", type=click.IntRange(min=0), default=10, help="How many of the most doubtful labels to list.")
@json_option
def health(run: Path, worst: int, as_json: bool) -> None:
    """Show the dataset's health: counts per class, confused labels, estimated noise, the most doubtful labels.

    Example: sciu-purify health runs/dfew
    """
    from sciu.purification.report import Report
    from sciu.purification.report import health as measure

    with _look(run) as purifier:
        answer = measure(Report.of(purifier), purifier, worst)
        names = purifier.class_names
    if as_json:
        print_json(answer)
        return
    print_table(list(answer["classes"][0]), [list(row.values()) for row in answer["classes"]])
    if answer["pairs"]:
        click.echo("\nrelabelled")
        print_table(list(answer["pairs"][0]), [list(row.values()) for row in answer["pairs"]])
    if answer["noise"]:
        click.echo("\nestimated share of clips of a given label (row) that are of a class (column)")
        rows = [[name, *(f"{share:.2f}" for share in row)] for name, row in zip(names, answer["noise"], strict=True)]
        print_table(["given", *names], rows)
    if answer["worst"]:
        click.echo("\nlabels that the network doubts most")
        columns = ("clip", "path", "given", "label", "predicted", "label_score")
        print_table(columns, [[row[name] for name in columns] for row in answer["worst"]])


# ---- deciding


@main.command()
@_run
@click.argument("clip")
@click.option("--keep", is_flag=True, help="It stays in the training set; its label may be corrected.")
@click.option("--drop", is_flag=True, help="It leaves the training set.")
@click.option("--label", help="It stays, with this label.")
@click.option("--free", is_flag=True, help="The policy decides again.")
@_who
@_why
@json_option
def pin(
    run: Path, clip: str, keep: bool, drop: bool, label: str | None, free: bool, who: str, why: str, as_json: bool
) -> None:
    """Decide about a clip yourself: a pin wins over the policy until it is freed.

    Example: sciu-purify pin runs/dfew 01234.mp4 --label Happy --why "seen it"
    """
    actions = {"keep": keep, "drop": drop, "label": label is not None, "free": free}
    chosen = [name for name, given in actions.items() if given]
    if len(chosen) != 1:
        raise click.UsageError("a pin is one of --keep, --drop, --label NAME and --free. Give exactly one.")
    with _open(run) as purifier:
        number = _clip_number(purifier, clip)
        purifier.review([_pin(purifier, number, chosen[0], label, who, why)])
        _answer(purifier, [number], as_json)


@main.command()
@_run
@click.argument("clip", required=False)
@click.option("--epoch", type=int, help="What the end of this epoch did: to CLIP, or without CLIP to all.")
@_who
@_why
@json_option
def undo(run: Path, clip: str | None, epoch: int | None, who: str, why: str, as_json: bool) -> None:
    """Take back the last change of a clip, or all that the end of an epoch did; the history keeps both.

    A clip that comes back is judged again when it has a whole window of new scores. Undone twice, a change stands.

    Example: sciu-purify undo runs/dfew 01234.mp4 --why "not blurred at all"
    """
    with _open(run) as purifier:
        number = None if clip is None else _clip_number(purifier, clip)
        _answer(purifier, purifier.undo(clip=number, epoch=epoch, who=who, why=why).tolist(), as_json)


@main.command("import-review")
@_run
@click.argument("file", type=click.Path(path_type=Path))
@_who
@json_option
def import_review(run: Path, file: Path, who: str, as_json: bool) -> None:
    """Take a reviewer's decisions from a CSV: columns clip, action (keep, drop, label, free), label, why. All or none.

    CLIP is an id or a path, so that an export can be edited and sent back.

    Example: sciu-purify import-review runs/dfew reviewed.csv --who anna
    """
    with _open(run) as purifier:
        pins = [_reviewed(purifier, f"line {line} of '{file}'", row, who) for line, row in _read_review(file)]
        purifier.review(pins)
        _answer(purifier, [pin.clip for pin in pins], as_json)


# ---- taking it elsewhere


@main.command()
@_run
@click.option("--format", "kind", type=click.Choice(FORMATS), default="csv")
@click.option("--what", type=click.Choice(KINDS), default="all")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
@json_option
def export(run: Path, kind: str, what: str, out: Path, as_json: bool) -> None:
    """Write what is known of every clip.

    csv, parquet: every column. file_list: `path label` of the clips that train, as DALI readers take it. cleanlab:
    cleanlab's columns, is_label_issue, label_score, given_label, predicted_label.

    Example: sciu-purify export runs/dfew --format cleanlab --out issues.csv
    """
    from sciu.purification.report import Report

    if kind == "file_list" and what not in ("all", "training"):
        raise click.UsageError(f"a file_list holds the clips that train, but --what is {what!r}. Leave it out.")
    with _look(run) as purifier:
        report = Report.of(purifier)
        rows = _rows(report, purifier, report.chosen("training" if kind == "file_list" else what))
        write_rows(kind, out, rows, purifier.class_names)
    if as_json:
        print_json({"file": str(out), "clips": len(rows)})
    else:
        click.echo(f"{len(rows):,} clips written to '{out}'")


# ---- keeping it well


@main.command()
@_run
@click.option("--repair", is_flag=True, help="Rebuild what the history tells; begin damaged scores anew.")
@click.option("--rewrite", is_flag=True, help="Write published indexes again that are not what the store says.")
@json_option
def verify(run: Path, repair: bool, rewrite: bool, as_json: bool) -> None:
    """Audit the store: pages, checksums, history, decisions, published indexes. Exit code 1 if anything is wrong.

    Example: sciu-purify verify runs/dfew
    """
    from sciu.purification.audit import audit
    from sciu.purification.repair import repair as mend

    store, index = _store_folder(run), _index_folder(run)
    mended = mend(store) if repair else []
    if rewrite:
        mended += _rewrite_indexes(store, index)
    problems = [problem.__dict__ for problem in audit(store, index)]
    if as_json:
        print_json({"ok": not problems, "problems": problems, "mended": mended})
    else:
        for name in mended:
            click.echo(f"mended: {name}")
        for problem in problems:
            click.echo(f"{problem['where']}: {problem['what']}. What is left: {problem['left']}")
        click.echo("all is well" if not problems else f"{len(problems)} problems")
    if problems:
        raise SystemExit(1)


@main.command()
@_run
@json_option
def compact(run: Path, as_json: bool) -> None:
    """Write the store anew without its free pages. Stop the training first.

    Example: sciu-purify compact runs/dfew
    """
    purifier = _open(run, recording=True)
    before, after = purifier.store.compact()
    if as_json:
        print_json({"before": before, "after": after})
    else:
        click.echo(f"{before:,} bytes before, {after:,} after")


# ---- shared


def _store_folder(run: Path) -> Path:
    return run / "purifier" if (run / "purifier").is_dir() else run


def _index_folder(run: Path) -> Path:
    return run / "index"


def _open(run: Path, *, recording: bool = False) -> Purifier:
    """Open to decide."""
    from sciu.purification import Purifier

    return Purifier.open(_store_folder(run), recording=recording)


@contextmanager
def _look(run: Path) -> Iterator[Purifier]:
    """Open to look: all that is seen is of one moment."""
    from sciu.purification import Purifier

    with Purifier.open(_store_folder(run), read_only=True) as purifier, purifier.store.reading():
        yield purifier


def _rows(report: Report, purifier: Purifier, clips: Any) -> list[dict[str, Any]]:
    import numpy as np

    from sciu.purification.report import rows_of

    return rows_of(report, purifier, np.asarray(clips, np.int64))


def _counted(rows: Any) -> dict[str, int]:
    from sciu.purification.state import Action

    kinds = {"pruned": Action.PRUNE, "corrected": Action.CORRECT, "restored": Action.RESTORE}
    return {name: (rows["action"] == action).sum() for name, action in kinds.items()}


def _clip_number(purifier: Purifier, text: str) -> int:
    from sciu.purification.revision import check_clips

    found = purifier.lines.find(text)
    if text.isascii() and text.isdigit():
        number = int(text)
        check_clips([number], purifier.states())
        if set(found) - {number}:
            raise click.UsageError(f"clip must be told apart, but {text!r} is an id, and the path of clip {found[0]}.")
        return number
    if len(found) != 1:
        what = "no clip has it" if not found else f"{len(found)} clips end in it, like {found[:3]}"
        raise click.UsageError(f"clip must be an id, a path, or the end of one path, but {what}: {text!r}.")
    return found[0]


def _class_number(purifier: Purifier, name: str) -> int:
    if name not in purifier.class_names:
        raise click.UsageError(f"class must be one of {list(purifier.class_names)}, but is {name!r}.")
    return purifier.class_names.index(name)


def _pin(purifier: Purifier, clip: int, action: str, label: str | None, who: str, why: str) -> Pin:
    from sciu.purification import Pin

    number = None if label is None else _class_number(purifier, label)
    return Pin(clip=clip, action=action, label=number, who=who, why=why)  # type: ignore[arg-type] # checked there


def _read_review(file: Path) -> list[tuple[int, dict[str, str]]]:
    """Read the rows that decide something, with their line numbers."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            table = csv.DictReader(lines)
            rows = [(table.line_num, {name: value or "" for name, value in row.items()}) for row in table]
    except FileNotFoundError:
        raise click.UsageError(f"'{file}' must be a reviewer's CSV, but is not there. Correct the path.") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"'{file}' must be UTF-8, but is not. Save it as UTF-8.") from None
    if not {"clip", "action"} <= set(table.fieldnames or ()):
        raise click.UsageError(f"'{file}' must have columns clip and action, but has {table.fieldnames}.")
    return [(line, row) for line, row in rows if row["action"].strip()]


def _reviewed(purifier: Purifier, where: str, row: dict[str, str], who: str) -> Pin:
    """Read a decision; an export's other columns, its label too where the action needs none, say nothing."""
    action = row["action"].strip().lower()
    if action not in ACTIONS:
        raise click.UsageError(f"{where}: action must be one of {list(ACTIONS)}, but is {row['action']!r}.")
    try:
        label = row.get("label", "") if action == "label" else None
        return _pin(
            purifier, _clip_number(purifier, row["clip"]), action, label, row.get("who") or who, row.get("why", "")
        )
    except (click.ClickException, ValueError) as error:
        told = error.message if isinstance(error, click.ClickException) else str(error)
        raise click.UsageError(f"{where}: {told}") from None


def _answer(purifier: Purifier, clips: list[int], as_json: bool) -> None:
    from sciu.purification.report import Report

    rows = _rows(Report.of(purifier), purifier, clips)
    if as_json:
        print_json({"clips": rows, "from_epoch": purifier.epoch + 1})
        return
    columns = ("clip", "path", "given", "label", "status", "why")
    print_table(columns, [[row[name] for name in columns] for row in rows[:SHOWN]])
    click.echo(f"{len(rows):,} clips changed, from epoch {purifier.epoch + 1} on.")


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _spared(spared: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in spared.items()) or "-"


def _rewrite_indexes(store: Path, index: Path) -> list[str]:
    from sciu.purification import Purifier
    from sciu.purification.audit import differing_indexes

    with Purifier.open(store, read_only=True) as purifier:
        wrong = [epoch for epoch, _, _ in differing_indexes(purifier, index) if epoch <= purifier.epoch]
        for epoch in wrong:
            purifier.index_at(epoch).write(index)
    return [f"index of epoch {epoch}" for epoch in wrong]


if __name__ == "__main__":
    main()
