"""What the command lines on our pages speak of, small: archives, lists of clips, datasets, runs."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

from archives import write_dfew, write_ferv39k, write_mafw
from helpers import Answer, moving_picture, write_clip, write_frames

from sciu.pipeline.dataset.importers import dfew, ferv39k, mafw

Sciu = Callable[..., Answer]
TRAINING = (
    "--backbone", "tiny_lstm", "--size", "32", "--frames", "4", "--batch-size", "8", "--threads", "1",
    "--set", "previews=0", "--set", "lr_warmup=1", "--set", "warmup=1", "--set", "window=1",
)  # fmt: skip
EPOCHS = ("--epochs", "2")
SYNTH = ("--clips", "28", "--frames", "6", "--size", "32")
DEMO_RUN = "demo/runs/faces/tiny_lstm/auto/33"


def make_world(world: Path, sciu: Sciu) -> None:
    """Write archives and lists, import and pack, train: each in its place below a folder."""
    _write_archives(world / "archives")
    _write_lists(world)
    for name, archive in (("dfew", "DFEW"), ("ferv39k", "FERV39k"), ("mafw", "MAFW")):
        done(sciu("data", "import", name, world / "archives" / archive, "--out", world / "data" / name))
        packed = world / "data" / f"{name}128"
        done(sciu("data", "pack", world / "data" / name, "--out", packed, "--size", 128, "--codec", "mjpeg"))
    done(sciu("data", "import", "csv", world / "clips.csv", "--out", world / "data/mine"))
    done(sciu("data", "synth", world / "data/synth", *SYNTH))
    shutil.copytree(world / "data/synth", world / "demo/data/faces-seed33")
    for data, run, method in (
        ("data/dfew128", "runs/dfew", "sciu"), ("data/dfew128", "runs/plain", "plain"),
        ("demo/data/faces-seed33", DEMO_RUN, "sciu"),
    ):  # fmt: skip
        done(sciu("train", world / data, "--out", world / run, "--method", method, *TRAINING, *EPOCHS))


def done(answer: Answer) -> None:
    """Refuse a command that failed."""
    assert answer.code == 0, answer.err


def _write_archives(folder: Path) -> None:
    write_dfew(folder / "DFEW", labels={1234 + clip: clip % 7 + 1 for clip in range(35)})
    rows = [f"Action/{name}/{10 * k + n:04d} {name}" for k, name in enumerate(ferv39k.CLASSES) for n in range(4)]
    test = rows[::4]
    train = [row for row in rows if row not in test]
    write_ferv39k(folder / "FERV39k", train, test, rows)
    write_mafw(folder / "MAFW", single={1 + k: mafw.CLASSES[k % 11] for k in range(25)}, compound={})
    for split, clips in (("train", 3), ("test", 1)):
        for name in ("happy", "sad"):
            for clip in range(clips):
                write_frames(folder / "rafdb" / split / name / f"{clip}", moving_picture(4))


def _write_lists(world: Path) -> None:
    """Write the clips, and the lists that name them."""
    clips = [f"clips/{number:02d}.mp4" for number in range(20)]
    for clip in clips:
        write_clip(world / clip)
    write_clip(world / "interview.mp4")
    labels = [("happy", "sad")[number % 2] for number in range(len(clips))]
    _write(world / "clips.csv", ["path", "label"], zip(clips, labels, strict=True))
    _write(world / "labels.csv", ["filename", "class"], zip(clips, labels, strict=True), delimiter=";")
    _write(world / "list.csv", ["path"], [[clip] for clip in clips[:3]])
    _write(world / "reviewed.csv", ["clip", "action", "label"], [["1", "keep", ""], ["2", "label", dfew.CLASSES[0]]])
    shutil.copytree(world / "clips", world / "noisy/clips")
    splits = ["test" if number % 4 == 3 else "train" for number in range(len(clips))]
    _write(world / "noisy/clips.csv", ["path", "label", "split"], zip(clips, labels, splits, strict=True))
    truth = [[clip, label, "clean"] for clip, label in zip(clips, labels, strict=True)]
    _write(world / "noisy/truth.csv", ["path", "true_label", "kind"], truth)


def _write(path: Path, header: list[str], rows: object, delimiter: str = ",") -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)  # type: ignore[arg-type]
