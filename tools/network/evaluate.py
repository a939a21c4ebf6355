"""`sciu-eval`: evaluate a run on a split, or several folds with their average and pooled values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sciu.pipeline.dataset.system.files import write_atomically
from sciu.pipeline.errors import require
from sciu.pipeline.train.report.drawing import FORMATS
from sciu.tools.command import (
    Command,
    Marked,
    Progress,
    json_option,
    network_options,
    print_json,
    print_table,
    replace_option,
    require_new_file,
    say,
)

if TYPE_CHECKING:
    from sciu.pipeline.train.evaluation.confusion import Confusion
    from sciu.pipeline.train.evaluation.evaluate import Evaluation
    from sciu.pipeline.train.run.trained_run import TrainedRun


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--data", type=click.Path(path_type=Path), help="Load the dataset from this folder.  [default: as in training]"
)
@click.option(
    "--split",
    type=click.Choice(["test", "validation", "val", "train"]),
    default="test",
    help="Evaluate on this split of the dataset; `validation` is the clips that chose the best epoch.",
)
@network_options
@click.option(
    "--folds", is_flag=True, help="Treat the runs as folds of one dataset: show the average and the pooled values."
)
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    help="Draw the confusion matrices, of --folds the pooled one, into this file: .png, .svg or .pdf.",
)
@replace_option
@json_option
def main(
    runs: tuple[Path, ...], data: Path | None, checkpoint: str, split: str, views: int | None, device: str,
    folds: bool, picture: Path | None, replace: bool, as_json: bool,
) -> None:  # fmt: skip
    """Evaluate runs: WAR (accuracy), UAR (mean recall), recall of each class, confusion matrix.

    Several runs are shown side by side. `best` was chosen on the test clips unless the run held out validation clips,
    so `last` is the fair choice.

    Example: sciu-eval runs/dfew-1 runs/dfew-2 runs/dfew-3 runs/dfew-4 runs/dfew-5 --folds
    """
    from sciu.pipeline.train.config.choices import choose_device
    from sciu.pipeline.train.run.trained_run import TrainedRun

    if picture:
        _require_picture(picture, replace=replace)
    trained = [TrainedRun.load(run, checkpoint=checkpoint, data=data) for run in runs]
    if folds:
        _require_folds(trained)
    chosen, _ = choose_device(device)
    found = []
    for each in trained:
        if each.remark:
            say(each.remark)
        seen = each.evaluate(chosen, split=split, views=views, progress=Progress(str(each.folder.path)))
        found.append((each, seen))
    if not folds:
        _remark_on_other_clips(found)
    results = [_result(each, seen, split) for each, seen in found]
    for result in results:
        if known := result.get("trained_on"):
            say(f"Warning: '{result['run']}' was trained on {known:,} of these {result['clips']:,} clips")
    answer = _answer(results, [seen.confusion for _, seen in found], folds=folds)
    if picture:
        _draw(picture, _matrices(results, answer))
    if as_json:
        print_json(answer)
    else:
        _show(results, answer)


def _require_picture(place: Path, *, replace: bool) -> None:
    kinds = [f".{kind}" for kind in FORMATS]
    require(place.suffix.lower() in kinds, "--picture", f"a file that ends in {', '.join(kinds)}", repr(str(place)))
    require_new_file(place, replace=replace, option="--picture")


def _require_folds(trained: list[TrainedRun]) -> None:
    folds = [each.settings.fold for each in trained]
    if len(set(folds)) < len(folds):
        raise click.UsageError(f"runs must be of different folds, but are of folds {folds}.")
    datasets = {each.dataset.fingerprint: each.dataset.name for each in trained}
    if len(datasets) > 1:
        raise click.UsageError(f"runs must be folds of one dataset, but are of {[*datasets.values()]}.")


def _remark_on_other_clips(found: list[tuple[TrainedRun, Evaluation]]) -> None:
    if len({(each.dataset.fingerprint, seen.ids.tobytes()) for each, seen in found}) > 1:
        say("the runs were evaluated on different clips, so a difference may be that of the clips")


def _result(trained: TrainedRun, seen: Evaluation, split: str) -> dict[str, Any]:
    classes = trained.dataset.classes
    result = {"run": str(trained.folder.path), "fold": trained.settings.fold, "epoch": trained.epoch, "split": split}
    if split != "train":
        result["trained_on"] = trained.trained_on(seen.ids)  # clips of a split that was drawn anew since the training
    if trained.step:
        result["after_step"] = trained.step  # of an unfinished epoch
    return {**result, "classes": [*classes], **seen.confusion.result(classes, seen.asked).to_json()}


def _answer(results: list[dict[str, Any]], confusions: list[Confusion], *, folds: bool) -> dict[str, Any]:
    """Combine the results; of folds, publications report either the average or the values of the pooled predictions."""
    if not folds:
        return results[0] if len(results) == 1 else {"runs": results}
    average = {name: sum(result[name] for result in results) / len(results) for name in ("war", "uar")}
    pooled, classes = confusions[0], results[0]["classes"]
    for confusion in confusions[1:]:
        pooled += confusion
    pooled_result = {"classes": classes, **pooled.result(classes, pooled.clips).to_json()}
    return {"average": average, "pooled": pooled_result, "folds": results}


def _matrices(results: list[dict[str, Any]], answer: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the results whose matrices are shown: that of the pooled folds, or that of each run."""
    return [("pooled", answer["pooled"])] if "pooled" in answer else [(result["run"], result) for result in results]


def _draw(place: Path, results: list[tuple[str, dict[str, Any]]]) -> None:
    import numpy as np

    from sciu.pipeline.train.report.matrices import Matrix, picture_of

    matrices = [
        Matrix(
            title=f"{name}: WAR {result['war']:.1%}, UAR {result['uar']:.1%}", classes=result["classes"],
            counts=np.array(result["confusion"]),
        )
        for name, result in results
    ]  # fmt: skip
    write_atomically(place, picture_of(matrices, place.suffix.lower()[1:]))


def _show(results: list[dict[str, Any]], answer: dict[str, Any]) -> None:
    """Print a row for each run, then the confusion matrix of each, or of the pooled folds."""
    pooled = [("pooled", answer["pooled"])] if "pooled" in answer else []
    rows = [(result["run"], result) for result in results]
    classes = list(dict.fromkeys(name for result in results for name in result["classes"]))
    compared = ("war", "uar") if len(rows) > 1 and not pooled else ()
    best = {name: max(result[name] for result in results) for name in compared}
    table = [[name, result["clips"], *_shares(result, classes, best)] for name, result in rows + pooled]
    if "average" in answer:
        table.append(["average", None, *map(_percent, answer["average"].values()), *[None] * len(classes)])
    print_table(["run", "clips", "WAR", "UAR", *classes], table)
    for name, result in _matrices(results, answer):
        click.echo(f"\n{name}: true classes in rows, predicted classes in columns")
        counts = zip(result["classes"], result["confusion"], strict=True)
        print_table(["", *result["classes"]], [[true, *row] for true, row in counts])


def _shares(result: dict[str, Any], classes: list[str], best: dict[str, float]) -> list[object]:
    """Return WAR and UAR, marked if they are the best, and the recall of each class."""
    means = {name: _percent(result[name]) for name in ("war", "uar")}
    marked = [Marked(text, "green") if result[name] == best.get(name) else text for name, text in means.items()]
    return [*marked, *(_percent(share) for share in map(result["recalls"].get, classes))]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


if __name__ == "__main__":
    main()
