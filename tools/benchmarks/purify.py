"""`purify`: one steady epoch of a large dataset, compared with np.save and fsync of the same scores."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from sciu.purification import Auto, Purifier, Sciu
from sciu.purification.rules.policy import Policy
from sciu.tools.benchmarks.measure import json_file, write_measured
from sciu.tools.command import print_table

_CLIPS_A_SECOND = 5_000
_WINDOW = 3
_POLICIES: dict[str, Policy] = {
    "sciu": Sciu(prune_below=0.7, correct_above=0.2, window=_WINDOW, warmup=_WINDOW, max_pruned=0.45, keep_per_class=0),
    "auto": Auto(window=_WINDOW, act_after=_WINDOW),
}


@dataclass(frozen=True)
class Epoch:
    """Seconds and bytes of one epoch."""

    record: float
    decide_and_commit: float
    write_index: float
    np_save: float
    record_of: int  # clips that were scored
    listed: int  # clips in the next index
    data_bytes: int

    @property
    def ours(self) -> float:
        """All that the purifier does."""
        return self.record + self.decide_and_commit + self.write_index


@click.command()
@click.option("--clips", type=click.IntRange(min=1), default=1_000_000, help="Give the dataset this many clips.")
@click.option("--classes", type=click.IntRange(min=2), default=7, help="Give the dataset this many classes.")
@click.option("--epochs", type=click.IntRange(min=1), default=8, help="Measure this many, after the ring is full.")
@click.option("--batch-size", type=click.IntRange(min=1), default=64, help="Put this many clips in a batch.")
@click.option("--method", type=click.Choice([*_POLICIES]), default="sciu", help="Decide by this policy.")
@click.option("--folder", type=click.Path(path_type=Path), help="Write below this folder.  [default: a temporary one]")
@json_file
def purify(
    clips: int, classes: int, epochs: int, batch_size: int, method: str, folder: Path | None, out: Path | None
) -> None:
    """Record a shuffled epoch, decide, commit, write the index files; compare with np.save + fsync of the scores.

    A share of the clips is pruned and relabelled at the first decision, the rest is the steady state. The scores come
    as a training loop reads them back: once an epoch, in the order of its batches.

    Example: python tools/bench.py purify --clips 1000000 --classes 7
    """
    with tempfile.TemporaryDirectory(dir=folder) as place:
        before = _memory("VmRSS")
        measured, inputs = _measure(Path(place), clips, classes, epochs + _WINDOW + 2, _POLICIES[method])
        memory = _memory("VmHWM") - before - inputs
    steady = measured[-epochs:]
    median = {name: statistics.median(getattr(epoch, name) for epoch in steady) for name in ("ours", "np_save")}
    parts = ("record", "decide_and_commit", "write_index", "ours", "np_save")
    print_table(
        ["epoch", "listed", *parts, "data.mdb MB"],
        [
            [number, epoch.listed, *(f"{getattr(epoch, part):.3f}" for part in parts), epoch.data_bytes >> 20]
            for number, epoch in enumerate(measured, start=1)
        ],
    )
    ratios = {
        "ours/np_save": median["ours"] / median["np_save"],
        "share_of_a_full_epoch": _share(measured[:2]),  # the first decision comes after these
        "share_of_a_pruned_epoch": _share(steady),
        "growth": measured[-1].data_bytes / measured[_WINDOW + 2].data_bytes,
    }
    click.echo(
        f"median of {epochs} steady epochs: {median['ours']:.3f} s, {ratios['ours/np_save']:.1f} x np.save + fsync"
    )
    shares = (
        f"{ratios['share_of_a_full_epoch']:.2%} of a full, {ratios['share_of_a_pruned_epoch']:.2%} of a pruned epoch"
    )
    click.echo(f"{shares} at {_CLIPS_A_SECOND:,} clips/s")
    click.echo(f"memory above the inputs: {memory / 1e6:,.0f} MB")
    rows = [
        {"name": "purifier, one epoch", "group": "ours", "seconds": median["ours"]},
        {"name": "np.save + fsync", "group": "limit", "seconds": median["np_save"]},
    ]
    settings = {"clips": clips, "classes": classes, "epochs": epochs, "batch_size": batch_size, "method": method}
    more = {"memory_bytes": memory, "epochs": [epoch.__dict__ for epoch in measured]}
    write_measured(out, settings, rows=rows, ratios=ratios, **more)


def _share(epochs: list[Epoch]) -> float:
    """Return the purifier's time as a share of training on the clips that were listed."""
    return statistics.median(epoch.ours / (epoch.record_of / _CLIPS_A_SECOND) for epoch in epochs)


def _measure(place: Path, clips: int, classes: int, epochs: int, policy: Policy) -> tuple[list[Epoch], int]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, clips)
    paths = [f"/data/dfew/Clip/clip_224x224/{clip:07d}.mp4" for clip in range(clips)]
    inputs, measured = 0, []
    with Purifier.create(place / "store", labels=labels, num_classes=classes, policy=policy, paths=paths) as purifier:
        del paths
        purifier.index()
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        for _ in range(epochs):
            ids = rng.permutation(purifier.index().ids)
            weights, probs = _scores(rng, labels[ids], classes)
            inputs = max(inputs, ids.nbytes + weights.nbytes + probs.nbytes)
            measured.append(_one_epoch(purifier, place, ids, weights, probs))
    return measured, inputs


def _scores(
    rng: np.random.Generator, labels: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw scores of which some are unsure and some sure of another class."""
    probs = rng.random((len(labels), classes), dtype=np.float32)
    sure = np.where(rng.random(len(labels)) < 0.05, rng.integers(0, classes, len(labels)), labels)
    probs[np.arange(len(labels)), sure] += rng.choice(np.array([3, 40], np.float32), len(labels))
    probs /= probs.sum(axis=1, keepdims=True)
    return rng.random(len(labels), dtype=np.float32) ** 0.1, probs


def _one_epoch(
    purifier: Purifier, place: Path, ids: NDArray[np.int64], weights: NDArray[np.float32], probs: NDArray[np.float32]
) -> Epoch:
    start = time.perf_counter()
    purifier.record(ids, weights, probs)
    recorded = time.perf_counter()
    index = purifier.end_epoch()
    ended = time.perf_counter()
    index.write(place / "index")
    written = time.perf_counter()
    with (place / "scores.npy").open("wb") as file:
        np.save(file, np.concatenate([weights[:, None], probs], axis=1).astype(np.float16))
        file.flush()
        os.fsync(file.fileno())
    saved = time.perf_counter()
    for path in (place / "index").iterdir():  # else the disk fills, and its cache with it
        path.unlink()
    return Epoch(
        recorded - start, ended - recorded, written - ended, saved - written, len(ids), len(index.ids),
        (place / "store/data.mdb").stat().st_size,
    )  # fmt: skip


def _memory(name: str) -> int:
    """Return this process's memory, now (VmRSS) or at its peak (VmHWM), in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
