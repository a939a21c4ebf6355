"""`sciu-data import`: datasets from clips on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sciu.pipeline.dataset.importers import Listing, dfew, ferv39k, folder, mafw, table_file
from sciu.pipeline.dataset.importers.classes import choose_classes
from sciu.pipeline.errors import shown
from sciu.tools.command import Progress, as_names, as_pairs, json_option, print_json, print_table
from sciu.tools.data.common import PATH, print_classes, print_notes, split_options

if TYPE_CHECKING:
    from sciu.pipeline.dataset.build import Built
    from sciu.pipeline.dataset.splits.split import Split


@click.group("import")
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
        click.option("--out", type=PATH, required=True, help="Create the new dataset in this folder."),
        click.argument("source", metavar="SRC", type=PATH),
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
@split_options
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
@split_options
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
    from sciu.pipeline.dataset.splits.split import Split

    asked = any(settings.get(name) is not None for name in ("test", "val", "by"))
    return Split(**{name: settings[name] for name in ("test", "val", "by", "seed")}) if asked else None


def _finish(
    listing: Listing, out: Path, name: str | None, as_json: bool, rename: dict[str, str], only: list[str],
    **settings: Any,
) -> None:  # fmt: skip
    from sciu.pipeline.dataset.build import build
    from sciu.pipeline.dataset.splits.summary import beside_published, summarise

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
    print_classes(built.dataset, 1)
    if published:
        click.echo()
        table = [
            [f"{row['fold']}", row["split"], row["class"] or "all", row["here"], row["published"]] for row in published
        ]
        print_table(["fold", "split", "class", "here", "published"], table)
    print_notes(built.notes)
    click.echo(shown(f"{len(built.dataset):,} clips in '{built.dataset.folder}'"))
