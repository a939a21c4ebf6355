"""`scale`: what millions of clips cost when an epoch changes, in one process and in many."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import lmdb
import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.table import KINDS, SPLITS, Categories, ClipTable
from sciu.pipeline.feed.plan.plan import Planner
from sciu.purification import Auto, EpochIndex, Purifier, Sciu
from sciu.purification.rules.policy import Policy
from sciu.tools.benchmarks.measure import json_file, write_measured
from sciu.tools.command import print_table

_CLASSES = 7
_EPOCHS = 5  # from the fourth on the ring is full, and the policies act
_FEW = 2_000  # clips of the many epochs
_POLICIES: dict[str, Policy] = {
    "sciu": Sciu(prune_below=0.7, correct_above=0.2, window=3, warmup=3, max_pruned=0.45, keep_per_class=0),
    "auto": Auto(window=3, act_after=3),
}


@dataclass
class Stages:
    """Seconds, and memory at most, of the stages of a process."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Measure a stage."""
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        began = time.perf_counter()
        yield
        seconds = time.perf_counter() - began
        memory = {"peak_GB": _memory("VmHWM"), "after_GB": _memory("VmRSS"), "of_files_GB": _memory("RssFile")}
        self.rows.append({"stage": name, "seconds": seconds, **memory})


@click.command()
@click.option("--clips", type=click.IntRange(min=1000), default=10_000_000, help="Give the dataset this many clips.")
@click.option("--ranks", type=click.IntRange(min=2), default=64, help="Gather from and publish to this many processes.")
@click.option("--epochs", type=click.IntRange(min=10), default=1000, help="Change the index of few clips so often.")
@click.option("--folder", type=click.Path(path_type=Path), help="Write below this folder.  [default: a temporary one]")
@json_file
def scale(clips: int, ranks: int, epochs: int, folder: Path | None, out: Path | None) -> None:
    """Load, plan, shard, decide, publish, gather: seconds and memory of each, and whether many epochs leak anything.

    Rows without media; each part in a process of its own. Processes that do not fit the memory are left out, and named.

    Example: python tools/bench.py scale --clips 10000000 --ranks 64
    """
    with tempfile.TemporaryDirectory(dir=folder) as place:
        parts: dict[str, Any] = {}
        parts["table"] = _alone(_table, place, clips)
        _show(f"table, {clips:,} clips", parts["table"])
        for method in _POLICIES:
            parts[f"epoch_{method}"] = _alone(_epochs, place, clips, method)
            _show(f"an epoch, {clips:,} clips, {method}", parts[f"epoch_{method}"])
        for method in _POLICIES:
            parts[f"leaks_{method}"] = _alone(_leaks, place, epochs, method)
            _show(f"after epochs of {_FEW:,} clips, {method}", parts[f"leaks_{method}"])
        parts["ranks"] = _alone(_ranks, place, ranks)
        _show(f"gather and publish, {clips:,} clips", parts["ranks"])
    write_measured(out, {"clips": clips, "ranks": ranks, "epochs": epochs}, **parts)


def _alone(work: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a process of its own finds: nothing of its memory is left for the next."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _show(title: str, rows: list[dict[str, Any]]) -> None:
    click.echo(f"\n{title}")
    names = [*dict.fromkeys(name for row in rows for name in row)]
    print_table(names, [[_text(row.get(name, "")) for name in names] for row in rows])


def _text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _memory(name: str) -> float:
    """Return this process's memory, now (VmRSS) or at its peak (VmHWM), in GB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1e6


def _path(clip: int) -> str:
    return f"part{clip // 1000:05d}/clip_{clip:08d}.mp4"


# ---- one process


def _table(place: str, clips: int) -> list[dict[str, Any]]:
    """Save a dataset and load it again, as a training does, and plan it alone and as one of 64 ranks."""
    stages, rng, all_alike = Stages(), np.random.default_rng(0), np.zeros(clips, np.int32)
    classes = tuple(f"class {k}" for k in range(_CLASSES))
    names = [_path(clip) for clip in range(clips)]
    table = ClipTable(
        name=names, path=names, kind=Categories(all_alike, KINDS), codec=Categories(all_alike, ("h264",)),
        frames=rng.integers(20, 200, clips).astype(np.int32), width=all_alike + 112, height=all_alike + 112,
        label=Categories(rng.integers(0, _CLASSES, clips).astype(np.int32), classes),
        folds=(Categories(all_alike, SPLITS),), group=Categories(all_alike - 1, ()),
        quarantine=Categories(all_alike - 1, ()),
    )  # fmt: skip
    folder = Path(place) / "dataset"
    with stages.timed("save"):
        Dataset(folder=folder, name="scale", classes=classes, root="media", clips=table).save()
    return [*stages.rows, *_alone(_load_and_plan, place)]


def _load_and_plan(place: str) -> list[dict[str, Any]]:
    stages = Stages()
    with stages.timed("load"):
        dataset = Dataset.load(Path(place) / "dataset")
    index = EpochIndex.given(dataset.ids("train"), dataset.labels, 1)
    for world in (1, 64, 1000):
        with stages.timed(f"plan as one of {world}"):
            Planner(dataset=dataset, batch_size=64, rank=world - 1, world=world).training(index)
    return stages.rows


def _epochs(place: str, clips: int, method: str) -> list[dict[str, Any]]:
    """Change epochs, and return the stages of the last, in which all has become steady."""
    setup, stages, rng = Stages(), Stages(), np.random.default_rng(0)
    labels = rng.integers(0, _CLASSES, clips).astype(np.int16)
    store, published = Path(place) / method, Path(place) / f"index_{method}"
    with setup.timed("create the store, once"):
        Purifier.create(
            store, labels=labels, num_classes=_CLASSES, policy=_POLICIES[method], paths=[*map(_path, range(clips))]
        ).close()
    with setup.timed("open the store, once"):
        purifier = Purifier.open(store)
    for _ in range(_EPOCHS):
        stages = Stages()
        ids, weights, probs = _scores(rng, purifier.index().ids, labels)
        with stages.timed("record"):
            purifier.record(ids, weights, probs)
        del ids, weights, probs
        with stages.timed("decide and commit"):
            index = purifier.end_epoch()
        with stages.timed("write the index"):
            index.write(published)
    purifier.close()
    files = {"store": _size(store), "an index": _size(published) / _EPOCHS}
    return [*setup.rows, *stages.rows, *({"stage": f"{name}: {size / 1e6:,.0f} MB"} for name, size in files.items())]


def _scores(
    rng: np.random.Generator, ids: NDArray[np.int64], labels: NDArray[np.int16]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Draw scores in the order of a training, of which some are unsure and some sure of another class."""
    ids = rng.permutation(ids)
    probs = rng.random((len(ids), _CLASSES), dtype=np.float32)
    sure = np.where(rng.random(len(ids)) < 0.05, rng.integers(0, _CLASSES, len(ids)), labels[ids])
    probs[np.arange(len(ids)), sure] += rng.choice(np.array([3, 40], np.float32), len(ids))
    probs /= probs.sum(axis=1, keepdims=True)
    return ids, rng.random(len(ids), dtype=np.float32) ** 0.1, probs


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


# ---- many processes


def _ranks(place: str, most: int) -> list[dict[str, Any]]:
    from sciu.tools.benchmarks.training.scale_ranks import of_ranks  # torch: 0.3 GB that the others do not need

    return of_ranks(Path(place) / "dataset", most)


# ---- many epochs


def _leaks(place: str, epochs: int, method: str) -> list[dict[str, Any]]:
    """Change the index of a few clips very often; return what the process and the store hold, several times."""
    rng, store = np.random.default_rng(0), Path(place) / f"many_{method}"
    labels = rng.integers(0, _CLASSES, _FEW).astype(np.int16)
    found = []
    with Purifier.create(store, labels=labels, num_classes=_CLASSES, policy=_POLICIES[method]) as purifier:
        for epoch in range(1, epochs + 1):
            purifier.record(*_scores(rng, purifier.index().ids, labels))
            purifier.end_epoch().write(store.parent / f"many_index_{method}")
            if epoch % (epochs // 5) == 0 or epoch == epochs // 10:
                found.append({"epochs": epoch, **_holds(store, store.parent / f"many_index_{method}", epoch)})
    return found


def _holds(store: Path, published: Path, epoch: int) -> dict[str, Any]:
    found = {
        "memory_MB": 1000 * _memory("RssAnon"), "of_files_MB": 1000 * _memory("RssFile"),
        "address_space_GB": _memory("VmSize"),
        "handles": _entries(Path("/proc/self/fd")),
        "maps": len(Path("/proc/self/maps").read_text().splitlines()),
        "store_files": _entries(store),
        "index_files_an_epoch": _entries(published) / epoch,
    }  # fmt: skip
    return {**found, **_alone(_pages, str(store))}


def _entries(folder: Path) -> int:
    return len([*folder.iterdir()])


def _pages(store: str) -> dict[str, Any]:
    """Return what an LMDB's pages are used for, read by another process: one may not open it twice."""
    with lmdb.open(store, readonly=True, lock=True, max_spare_txns=0) as environment:
        page, info = environment.stat()["psize"], environment.info()
        with environment.begin() as transaction:
            database = transaction.stat()
            used = sum(database[name] for name in ("branch_pages", "leaf_pages", "overflow_pages"))
    pages = info["last_pgno"] + 1
    return {"data_MB": pages * page / 1e6, "free_pages": pages - used}
