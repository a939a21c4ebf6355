"""`sciu-data`: make, inspect, check and pack datasets."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sciu.pipeline.errors import shown
from sciu.tools.command import RUN_FAILED, Group, LazyChoice, Progress, json_option, print_json, print_table
from sciu.tools.data.common import PATH, print_classes, print_notes, split_options
from sciu.tools.data.importing import import_group

if TYPE_CHECKING:
    from sciu.pipeline.dataset.check import Problem

_CODECS = LazyChoice("sciu.pipeline.dataset.media.encode:CODECS")


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Make, inspect, check and pack datasets of face clips."""


# ---- info


@main.command()
@click.argument("data", type=PATH)
@click.option("--fold", type=int, default=1, help="Count the splits of this fold.")
@json_option
def info(data: Path, fold: int, as_json: bool) -> None:
    """Show classes, splits, frames, sizes, codecs and quarantine.

    Example: sciu-data info data/dfew --fold 3
    """
    from sciu.pipeline.dataset import Dataset
    from sciu.pipeline.dataset.splits.summary import cautions, summarise

    dataset = Dataset.load(data)
    summary = summarise(dataset, fold)
    if as_json:
        print_json({**summary, "notes": cautions(dataset, fold)})
        return
    clips = f"{len(dataset):,} clips ({dataset.kind}), fold {fold} of {dataset.folds}"
    click.echo(shown(f"{dataset.name}: {clips}, media in '{dataset.media}'"))
    print_classes(dataset, fold)
    frames = summary["frames"] or {"min": "-", "median": "-", "max": "-"}
    click.echo(f"frames       min {frames['min']}, median {frames['median']}, max {frames['max']}")
    for key in ("sizes", "codecs", "quarantine"):
        tally = list(summary[key].items())
        first = ", ".join(f"{name} ({count:,})" for name, count in tally[:4]) or "none"
        click.echo(shown(f"{key:<12} {first}") + (f" and {len(tally) - 4} more" if len(tally) > 4 else ""))
    print_notes(cautions(dataset, fold))


# ---- check


@main.command()
@click.argument("data", type=PATH)
@click.option("--decode", is_flag=True, help="Decode every frame; the default is headers, ends and first frames only.")
@json_option
def check(data: Path, decode: bool, as_json: bool) -> None:
    """Check every clip and quarantine those that cannot be used; exit with code 1 if there are any.

    Example: sciu-data check data/dfew --decode
    """
    from sciu.pipeline.dataset import Dataset
    from sciu.pipeline.dataset import check as checking

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
@click.argument("data", type=PATH)
@click.option("--out", type=PATH, required=True, help="Create the new dataset in this folder.")
@click.option("--size", type=int, default=128, help="Scale every frame to this width and height.")
@click.option("--max-frames", type=int, default=48, help="Thin longer clips evenly to this many frames.")
@click.option("--codec", type=_CODECS, default="mjpeg", help="Use this codec; jpeg is an uncompressed zip per clip.")
@click.option(
    "--fit",
    type=LazyChoice("sciu.pipeline.dataset.pack:FITS"),
    default="pad",
    help="Choose how frames are made square.",
)
@click.option(
    "--shard",
    metavar="I/N",
    help="Pack the I-th of N shares only, as one of N jobs; afterwards, the command without --shard joins them.",
)
@json_option
def pack_command(data: Path, out: Path, shard: str | None, as_json: bool, **settings: Any) -> None:
    """Rewrite a dataset into one size and codec for fast decoding. If it was stopped, run it again to continue.

    Ids, labels and folds stay; the source is only read. JPEG frames of the right size are copied, not encoded again.

    Example: sciu-data pack data/dfew --out data/dfew128 --size 128 --codec mjpeg
    """
    from sciu.pipeline.dataset import Dataset
    from sciu.pipeline.dataset.pack import Packing, Shard, pack, pack_shard

    packing = Packing(**settings)
    share = Shard.of(shard) if shard else None
    dataset = Dataset.load(data)
    if share:
        part = pack_shard(dataset, out, packing, share, Progress(f"pack {share}"))
        made, counts, problems = part.folder, part.counts, part.problems
    else:
        packed = pack(dataset, out, packing, Progress("pack"))
        made, counts, problems = out, packed.counts, packed.problems
    clips = sum(counts.values()) if share else len(dataset)
    if as_json:
        counted = {str(how): count for how, count in counts.items()}
        print_json({"out": str(made), "clips": clips, **counted, **_problems(problems)})
    else:
        _print_problems(problems)
        told = ", ".join(f"{count:,} {how}" for how, count in counts.items() if count)
        click.echo(shown(f"{clips:,} clips {f'of shard {share} ' if share else ''}packed into '{made}': {told}"))
    if counts["failed"]:
        sys.exit(RUN_FAILED)


# ---- synth


@main.command()
@click.argument("out", type=PATH)
@click.option("--clips", type=int, default=700, help="Paint this many clips.")
@click.option("--classes", type=int, default=7, help="Paint this many expressions, 2 to 7.")
@click.option("--frames", type=int, default=32, help="Paint this many frames per clip.")
@click.option("--size", type=int, default=64, help="Set the width and height in pixels.")
@click.option("--codec", type=_CODECS, default="vp9", help="Use this codec; jpeg is a folder of frames per clip.")
@click.option("--mislabel", type=float, default=0.2, help="Mislabel this share of the training clips.")
@click.option("--low-quality", type=float, default=0.2, help="Make this share of the training clips unusable.")
@click.option(
    "--noise",
    type=LazyChoice("sciu.pipeline.dataset.synth.noise:KINDS"),
    default="sym",
    help="Choose how labels go wrong.",
)
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
    from sciu.pipeline.dataset.splits.summary import class_counts
    from sciu.pipeline.dataset.synth import Synth, generate

    chosen = Synth(**settings)
    dataset = generate(chosen, out, Progress("synth"))
    counts = class_counts(dataset, 1)
    if as_json:
        print_json({"out": str(out), **asdict(chosen), "splits": counts})
        return
    print_classes(dataset, 1)
    train = sum(counts["train"].values())
    spoilt = f"{round(chosen.mislabel * train):,} of them mislabelled ({chosen.noise}) and"
    spoilt += f" {round(chosen.low_quality * train):,} of low quality"
    click.echo(shown(f"{train:,} training clips, {spoilt}: see '{out / 'truth.csv'}'"))


# ---- split


@main.command()
@click.argument("data", type=PATH)
@split_options
@click.option("--replace", "anew", is_flag=True, help="Replace the test or val split that there is.")
@json_option
def split(data: Path, as_json: bool, **settings: Any) -> None:
    """Draw a test split, or a val split, for a dataset that came without one.

    Every class gets its share. The split is stored in the dataset, and runs of the dataset as it was before cannot be
    resumed.

    Example: sciu-data split data/mine --test 0.2 --val 0.1
    """
    from sciu.pipeline.dataset import Dataset
    from sciu.pipeline.dataset.splits.split import Split, drawn, kept_in, split_dataset
    from sciu.pipeline.dataset.splits.summary import cautions, summarise

    chosen = Split(**settings)
    before = Dataset.load(data)
    dataset = split_dataset(before, chosen)
    notes = drawn(dataset, chosen) + cautions(dataset)
    if chosen.anew:
        notes.append(f"the split before is kept in '{kept_in(before)}': copy its files back to return to it")
    if as_json:
        print_json({"data": str(data), "split": asdict(chosen), **summarise(dataset), "notes": notes})
    else:
        print_classes(dataset, 1)
        print_notes(notes)


main.add_command(import_group)
