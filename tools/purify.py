"""`sciu-purify`: look into a purifier's store, decide yourself, take decisions back, take its verdicts elsewhere."""

from __future__ import annotations

import csv
import getpass
import json
from collections.abc import Callable
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
KINDS = ("all", "training", "pruned", "corrected", "pinned", "quarantined")
SORTS = {"clip": "clip", "score": "score", "margin": "margin", "label-score": "label_score", "epoch": "first_epoch"}

_run = click.argument("run", type=click.Path(path_type=Path))
_who = click.option("--who", default=getpass.getuser, show_default="you", help="Who says so.")
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

    with _open(run) as purifier:
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
@click.option("--sort", type=click.Choice(list(SORTS)), default="score", help="What is most doubtful comes first.")
@click.option("--limit", type=click.IntRange(min=1), default=50)
@json_option
def list_clips(run: Path, what: str, given: str | None, sort: str, limit: int, as_json: bool) -> None:
    """List clips with what is believed of them and why.

    Example: sciu-purify list runs/dfew --what corrected --class Sad --sort margin
    """
    from sciu.purification.report import Report

    with _open(run) as purifier:
        report = Report.of(purifier)
        clips = report.chosen(what)
        if given is not None:
            clips = clips[report.states.given[clips] == _class_number(purifier, given)]
        rows = sorted(_rows(report, purifier, clips), key=_doubt(SORTS[sort]))
    if as_json:
        print_json({"clips": rows[:limit], "count": len(rows)})
        return
    columns = ("clip", "path", "given", "label", "score", "margin", "first_epoch", "why")
    print_table(columns, [[row[name] for name in columns] for row in rows[:limit]])
    if len(rows) > limit:
        click.echo(f"... and {len(rows) - limit:,} more; --limit shows them.")


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

    with _open(run) as purifier:
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

    with _open(run) as purifier:
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
@click.option("--keep", "action", flag_value="keep", help="It stays in the training set; its label may be corrected.")
@click.option("--drop", "action", flag_value="drop", help="It leaves the training set.")
@click.option("--label", help="It stays, with this label.")
@click.option("--free", "action", flag_value="free", help="The policy decides again.")
@_who
@_why
@json_option
def pin(run: Path, clip: str, action: str | None, label: str | None, who: str, why: str, as_json: bool) -> None:
    """Decide about a clip yourself: a pin wins over the policy until it is freed.

    Example: sciu-purify pin runs/dfew 01234.mp4 --label Happy --why "seen it"
    """
    if (action is None) == (label is None):
        raise click.UsageError("a pin is one of --keep, --drop, --label NAME and --free. Give exactly one.")
    with _open(run, read_only=False) as purifier:
        number = _clip_number(purifier, clip)
        purifier.review([_pin(purifier, number, action or "label", label, who, why)])
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
    with _open(run, read_only=False) as purifier:
        number = None if clip is None else _clip_number(purifier, clip)
        _answer(purifier, purifier.undo(clip=number, epoch=epoch, who=who, why=why).tolist(), as_json)


@main.command("import-review")
@_run
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_who
@json_option
def import_review(run: Path, file: Path, who: str, as_json: bool) -> None:
    """Take a reviewer's decisions from a CSV: columns clip, action (keep, drop, label, free), label, why. All or none.

    CLIP is an id or a path, so that an export can be edited and sent back.

    Example: sciu-purify import-review runs/dfew reviewed.csv --who anna
    """
    with _open(run, read_only=False) as purifier, file.open(newline="", encoding="utf-8-sig") as lines:
        table = csv.DictReader(lines)
        if not table.fieldnames or not {"clip", "action"} <= set(table.fieldnames):
            raise click.UsageError(f"'{file}' must have columns clip and action, but has {table.fieldnames}.")
        pins = [_reviewed(purifier, file, table.line_num, row, who) for row in table if row["action"]]
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

    with _open(run) as purifier:
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
    purifier = _open(run, read_only=False, recording=True)
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


def _open(run: Path, *, read_only: bool = True, recording: bool = False) -> Purifier:
    from sciu.purification import Purifier

    return Purifier.open(_store_folder(run), read_only=read_only, recording=recording)


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

    if text.isdigit():
        check_clips([int(text)], purifier.states())
        return int(text)
    found = purifier.lines.find(text)
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


def _reviewed(purifier: Purifier, file: Path, line: int, row: dict[str, str], who: str) -> Pin:
    try:
        number = _clip_number(purifier, row["clip"])
        return _pin(
            purifier, number, row["action"], row.get("label") or None, row.get("who") or who, row.get("why") or ""
        )
    except click.ClickException as error:
        raise click.UsageError(f"line {line} of '{file}': {error.message}") from None


def _answer(purifier: Purifier, clips: list[int], as_json: bool) -> None:
    from sciu.purification.report import Report

    rows = _rows(Report.of(purifier), purifier, clips)
    if as_json:
        print_json({"clips": rows, "from_epoch": purifier.open_epoch() + 1})
        return
    columns = ("clip", "path", "given", "label", "status", "why")
    print_table(columns, [[row[name] for name in columns] for row in rows[:SHOWN]])
    click.echo(f"{len(rows):,} clips changed, from epoch {purifier.open_epoch() + 1} on.")


def _doubt(column: str) -> Callable[[dict[str, Any]], tuple[bool, Any]]:
    """Sort what is most doubtful first, what is unknown last."""
    sign = -1 if column == "margin" else 1
    return lambda row: (row[column] is None, sign * (row[column] or 0))


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _spared(spared: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in spared.items()) or "-"


def _rewrite_indexes(store: Path, index: Path) -> list[str]:
    from sciu.purification import Purifier, PurifierError
    from sciu.purification.index import EpochIndex, published_epochs

    written = []
    with Purifier.open(store, read_only=True) as purifier:
        for epoch in published_epochs(index):
            if epoch > purifier.epoch:
                continue
            expected = purifier.index_at(epoch)
            try:
                EpochIndex.read(index, epoch)
                same = all((index / name).read_bytes() == content for name, content in expected.files().items())
            except PurifierError:
                same = False
            if not same:
                expected.write(index)
                written.append(f"index of epoch {epoch}")
    return written


if __name__ == "__main__":
    main()
