"""`sciu-data`: make, inspect, check and pack datasets."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset import check as checking
from sciu.pipeline.dataset.build import Built, build
from sciu.pipeline.dataset.check import Problem
from sciu.pipeline.dataset.importers import Listing, dfew, ferv39k, folder, mafw, table_file
from sciu.pipeline.dataset.importers.classes import choose_classes
from sciu.pipeline.dataset.media.encode import CODECS
from sciu.pipeline.dataset.pack import FITS, Packing, pack
from sciu.pipeline.dataset.splits.split import BY, Split, drawn, kept_in, split_dataset
from sciu.pipeline.dataset.splits.summary import beside_published, cautions, class_counts, summarise
from sciu.pipeline.dataset.synth import Synth, generate
from sciu.pipeline.dataset.synth.noise import KINDS as NOISES
from sciu.pipeline.errors import shown
from sciu.tools.command import RUN_FAILED, Group, Progress, as_names, as_pairs, json_option, print_json, print_table

_PATH = click.Path(path_type=Path)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Make, inspect, check and pack datasets of face clips."""


# ---- info


@main.command()
@click.argument("data", type=_PATH)
@click.option("--fold", type=int, default=1, help="Count the splits of this fold.")
@json_option
def info(data: Path, fold: int, as_json: bool) -> None:
    """Show classes, splits, frames, sizes, codecs and quarantine.

    Example: sciu-data info data/dfew --fold 3
    """
    dataset = Dataset.load(data)
    summary = summarise(dataset, fold)
    if as_json:
        print_json({**summary, "notes": cautions(dataset, fold)})
        return
    clips = f"{len(dataset):,} clips ({dataset.kind}), fold {fold} of {dataset.folds}"
    click.echo(shown(f"{dataset.name}: {clips}, media in '{dataset.media}'"))
    _print_classes(dataset, fold)
    frames = summary["frames"] or {"min": "-", "median": "-", "max": "-"}
    click.echo(f"frames       min {frames['min']}, median {frames['median']}, max {frames['max']}")
    for key in ("sizes", "codecs", "quarantine"):
        tally = list(summary[key].items())
        first = ", ".join(f"{name} ({count:,})" for name, count in tally[:4]) or "none"
        click.echo(shown(f"{key:<12} {first}") + (f" and {len(tally) - 4} more" if len(tally) > 4 else ""))
    _print_notes(cautions(dataset, fold))


def _print_notes(notes: list[str]) -> None:
    for note in notes:
        click.echo(shown(f"Note: {note}"))


def _print_classes(dataset: Dataset, fold: int) -> None:
    splits = class_counts(dataset, fold)
    rows: list[list[object]] = [[name, *(counts[name] for counts in splits.values())] for name in dataset.classes]
    rows.append(["all", *(sum(counts.values()) for counts in splits.values())])
    print_table(["class", *splits], rows)


# ---- check


@main.command()
@click.argument("data", type=_PATH)
@click.option("--decode", is_flag=True, help="Decode every frame; the default is headers, ends and first frames only.")
@json_option
def check(data: Path, decode: bool, as_json: bool) -> None:
    """Check every clip and quarantine those that cannot be used; exit with code 1 if there are any.

    Example: sciu-data check data/dfew --decode
    """
    dataset, problems = checking.check(Dataset.load(data), "decode" if decode else "probe", Progress("check"))
    if as_json:
        print_json({"clips": len(dataset), "decoded": decode, **_problems(problems)})
    else:
        _print_problems(problems)
        click.echo(f"{len(dataset):,} clips checked, {len(problems):,} in quarantine")
    if problems:
        sys.exit(RUN_FAILED)


def _problems(problems: list[Problem]) -> dict[str, Any]:
    return {"quarantined": len(problems), "problems": [asdict(problem) for problem in problems]}


def _print_problems(problems: list[Problem]) -> None:
    if problems:
        print_table(["clip", "name", "reason"], [[problem.id, problem.name, problem.reason] for problem in problems])


# ---- pack


@main.command("pack")
@click.argument("data", type=_PATH)
@click.option("--out", type=_PATH, required=True, help="Create the new dataset in this folder.")
@click.option("--size", type=int, default=128, help="Scale every frame to this width and height.")
@click.option("--max-frames", type=int, default=48, help="Thin longer clips evenly to this many frames.")
@click.option(
    "--codec", type=click.Choice(CODECS), default="mjpeg", help="Use this codec; jpeg is an uncompressed zip per clip."
)
@click.option("--fit", type=click.Choice(FITS), default="pad", help="Choose how frames are made square.")
@json_option
def pack_command(data: Path, out: Path, size: int, max_frames: int, codec: str, fit: str, as_json: bool) -> None:
    """Rewrite a dataset into one size and codec for fast decoding. If it was stopped, run it again to continue.

    Ids, labels and folds stay; the source is only read. JPEG frames of the right size are copied, not encoded again.

    Example: sciu-data pack data/dfew --out data/dfew128 --size 128 --codec mjpeg
    """
    packing = Packing(size=size, max_frames=max_frames, codec=codec, fit=fit)
    packed = pack(Dataset.load(data), out, packing, Progress("pack"))
    if as_json:
        counts = {str(how): count for how, count in packed.counts.items()}
        print_json({"out": str(out), "clips": len(packed.dataset), **counts, **_problems(packed.problems)})
    else:
        _print_problems(packed.problems)
        counted = ", ".join(f"{count:,} {how}" for how, count in packed.counts.items() if count)
        click.echo(shown(f"{len(packed.dataset):,} clips packed into '{out}': {counted}"))
    if packed.counts["failed"]:
        sys.exit(RUN_FAILED)


# ---- synth


@main.command()
@click.argument("out", type=_PATH)
@click.option("--clips", type=int, default=700, help="Paint this many clips.")
@click.option("--classes", type=int, default=7, help="Paint this many expressions, 2 to 7.")
@click.option("--frames", type=int, default=32, help="Paint this many frames per clip.")
@click.option("--size", type=int, default=64, help="Set the width and height in pixels.")
@click.option(
    "--codec", type=click.Choice(CODECS), default="vp9", help="Use this codec; jpeg is a folder of frames per clip."
)
@click.option("--mislabel", type=float, default=0.2, help="Mislabel this share of the training clips.")
@click.option("--low-quality", type=float, default=0.2, help="Make this share of the training clips unusable.")
@click.option("--noise", type=click.Choice(NOISES), default="sym", help="Choose how labels go wrong.")
@click.option(
    "--test-share", type=float, default=0.2, help="Reserve this share of the clips, of other people, for tests."
)
@click.option("--seed", type=int, default=0, help="Set the seed of all random numbers.")
@json_option
def synth(out: Path, as_json: bool, **settings: Any) -> None:
    """Paint SynthDFER: faces with planted faults.

    Its truth.csv lists the planted faults, so that purification can be measured.

    Example: sciu-data synth data/synth --clips 700 --mislabel 0.2 --low-quality 0.2
    """
    chosen = Synth(**settings)
    dataset = generate(chosen, out, Progress("synth"))
    counts = class_counts(dataset, 1)
    if as_json:
        print_json({"out": str(out), **asdict(chosen), "splits": counts})
        return
    _print_classes(dataset, 1)
    train = sum(counts["train"].values())
    spoilt = f"{round(chosen.mislabel * train):,} of them mislabelled ({chosen.noise}) and"
    spoilt += f" {round(chosen.low_quality * train):,} of low quality"
    click.echo(shown(f"{train:,} training clips, {spoilt}: see '{out / 'truth.csv'}'"))


# ---- split


def _split_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--seed", type=int, default=0, help="Set the seed of all random numbers."),
        click.option(
            "--by", type=click.Choice(BY), help="Divide whole groups, or clips.  [default: groups if there are any]"
        ),
        click.option("--val", type=float, help="Take this share of the training clips to choose the best epoch by."),
        click.option("--test", type=float, help="Take this share of the training clips for tests."),
    ):
        command = option(command)
    return command


@main.command()
@click.argument("data", type=_PATH)
@_split_options
@click.option("--replace", "anew", is_flag=True, help="Replace the test or val split that there is.")
@json_option
def split(data: Path, as_json: bool, **settings: Any) -> None:
    """Draw a test split, or a val split, for a dataset that came without one.

    Every class gets its share. The split is stored in the dataset, and runs of the dataset as it was before cannot be
    resumed.

    Example: sciu-data split data/mine --test 0.2 --val 0.1
    """
    chosen = Split(**settings)
    before = Dataset.load(data)
    dataset = split_dataset(before, chosen)
    notes = drawn(dataset, chosen) + cautions(dataset)
    if chosen.anew:
        notes.append(f"the split before is kept in '{kept_in(before)}': copy its files back to return to it")
    if as_json:
        print_json({"data": str(data), "split": asdict(chosen), **summarise(dataset), "notes": notes})
    else:
        _print_classes(dataset, 1)
        _print_notes(notes)


# ---- import


@main.group("import", cls=click.Group)
def import_group() -> None:
    """Make a dataset from clips on disk.

    The media stay where they are; the new folder holds two small files that describe them.
    """


def _importer(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        json_option,
        click.option(
            "--only",
            multiple=True,
            callback=as_names,
            help='Import only these classes, by their new names, as in happy,"a, b".',
        ),
        click.option(
            "--rename",
            multiple=True,
            metavar="OLD=NEW",
            callback=as_pairs,
            help="Rename a class, or merge it into NEW; give it for each.",
        ),
        click.option("--name", help="Name the dataset; the default is the name of its source."),
        click.option("--out", type=_PATH, required=True, help="Create the new dataset in this folder."),
        click.argument("source", metavar="SRC", type=_PATH),
    ):
        command = option(command)
    return command


_CLASSES = click.option(
    "--classes",
    default="",
    callback=as_names,
    help='List the class names in order, as in happy,"a, b"; any other is an error.',
)


@import_group.command("dfew")
@_importer
@click.option("--media", type=click.Choice(list(dfew.MEDIA)), default="faces", help="Import this kind of files.")
def import_dfew(source: Path, media: str, **common: Any) -> None:
    """Import DFEW, all five folds.

    SRC holds Clip/ and EmoLabel_DataSplit/ (or label/), as the archives unpack.

    Example: sciu-data import dfew /data/DFEW --out data/dfew --media faces
    """
    _finish(dfew.read(source, media=media), **common)


@import_group.command("ferv39k")
@_importer
@click.option("--media", type=click.Choice(list(ferv39k.MEDIA)), default="faces", help="Import this kind of files.")
def import_ferv39k(source: Path, media: str, **common: Any) -> None:
    """Import FERV39k, the official split.

    SRC holds 2_ClipsforFaceCrop/ or 0_7_LabelClips/, and 4_setups/.

    Example: sciu-data import ferv39k /data/FERV39k --out data/ferv39k
    """
    _finish(ferv39k.read(source, media=media), **common)


@import_group.command("mafw")
@_importer
@click.option("--media", type=click.Choice(list(mafw.MEDIA)), default="frames", help="Import this kind of files.")
@click.option(
    "--labels", type=click.Choice(mafw.LABELS), default="single", help="Use the 11 single or the 43 compound classes."
)
def import_mafw(source: Path, media: str, labels: str, **common: Any) -> None:
    """Import MAFW, all five folds.

    SRC holds data/ and "Train & Test Set"/.

    Example: sciu-data import mafw /data/MAFW --out data/mafw --labels single
    """
    _finish(mafw.read(source, media=media, labels=labels), **common)


@import_group.command("csv")
@_importer
@_CLASSES
@click.option("--encoding", default="utf-8-sig", help="Read the CSV file in this encoding.")
@click.option("--delimiter", default=",", help="Set the character that separates the fields, such as ; or \\t.")
@click.option(
    "--columns",
    default="",
    callback=lambda context, option, given: as_pairs(context, option, as_names(context, option, given)),
    help="Name the columns to read, as in path=filename,label=class.",
)
@_split_options
def import_csv(
    source: Path, classes: list[str], encoding: str, delimiter: str, columns: dict[str, str], **common: Any
) -> None:
    """Import your own list of path,label[,split[,group]].

    SRC is a CSV file, with or without that header. Paths start at its folder; clips without a split are for training,
    and --test draws a test split from them.

    Example: sciu-data import csv clips.csv --out data/mine --test 0.2
    """
    listing = table_file.read(source, classes=classes, encoding=encoding, columns=columns, delimiter=delimiter)
    _finish(listing, **common)


@import_group.command("folder")
@_importer
@_CLASSES
@_split_options
def import_folder(source: Path, classes: list[str], **common: Any) -> None:
    """Import your own tree of split/class/clip.

    Splits are train, test and val; a clip is a video, a folder of frames or a single image. With --test the tree may
    also be class/clip.

    Example: sciu-data import folder /data/rafdb --out data/rafdb
    """
    listing = folder.read(source, classes=classes, unsplit=_split_of(common) is not None)
    _finish(listing, **common)


def _split_of(settings: dict[str, Any]) -> Split | None:
    """Return the split that an import is to draw, if any."""
    asked = any(settings.get(name) is not None for name in ("test", "val", "by"))
    return Split(**{name: settings[name] for name in ("test", "val", "by", "seed")}) if asked else None


def _finish(
    listing: Listing, out: Path, name: str | None, as_json: bool, rename: dict[str, str], only: list[str],
    **settings: Any,
) -> None:  # fmt: skip
    made_by = f"import of '{listing.root.absolute()}'"
    made_by += f", renamed {rename}" if rename else ""
    made_by += f", only {only}" if only else ""
    listing = choose_classes(listing, rename=rename, only=only)
    built = build(listing, out, name=name, made_by=made_by, progress=Progress("import"), split=_split_of(settings))
    rows = beside_published(built.dataset, listing.published) if listing.published else []
    if as_json:
        print_json({"out": str(out), **summarise(built.dataset), "published": rows, "notes": built.notes})
    else:
        _print_built(built, rows)


def _print_built(built: Built, published: list[dict[str, Any]]) -> None:
    _print_classes(built.dataset, 1)
    if published:
        click.echo()
        table = [
            [f"{row['fold']}", row["split"], row["class"] or "all", row["here"], row["published"]] for row in published
        ]
        print_table(["fold", "split", "class", "here", "published"], table)
    _print_notes(built.notes)
    click.echo(shown(f"{len(built.dataset):,} clips in '{built.dataset.folder}'"))


if __name__ == "__main__":
    main()
