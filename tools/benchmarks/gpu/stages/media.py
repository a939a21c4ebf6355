"""`media`: the clips that the other stages read, made with all cores."""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.build import listed_table
from sciu.pipeline.dataset.check import with_probes
from sciu.pipeline.dataset.importers import ListedClip
from sciu.pipeline.dataset.media.encode import KIND, SUFFIX
from sciu.pipeline.dataset.media.probe import Probe
from sciu.pipeline.dataset.synth import Synth, generate
from sciu.pipeline.dataset.system.workers import Crashed, map_tasks
from sciu.tools.benchmarks.gpu.bench import Bench, Row
from sciu.tools.benchmarks.gpu.stages.paint import Task, write_clip

VIDEOS = ("h264", "hevc", "vp9")
WHOLE, SHORT = 1, 2  # folds: all clips, and the first eighth of them
_TEST_EVERY = 6
_VIDEO_SIDE = 160


def media(bench: Bench) -> None:
    """Make packed JPEG clips, videos, and faces that a network can learn."""
    bench.measure("jpeg", partial(_make, bench, "jpeg", bench.clips, bench.sizes.side))
    bench.measure("learnable faces", partial(_make_faces, bench))
    for codec in VIDEOS:
        bench.measure(codec, partial(_make, bench, codec, bench.sizes.videos, _VIDEO_SIDE))


def _make(bench: Bench, codec: str, clips: int, side: int) -> Row:
    began, folder = time.perf_counter(), bench.media / f"{codec}.partial"
    (folder / "media").mkdir(parents=True)
    names = [f"{clip:05d}{SUFFIX.get(codec, '.mp4')}" for clip in range(clips)]
    tasks = [Task(clip, bench.sizes.stored, side, codec, folder / "media" / name) for clip, name in enumerate(names)]
    with closing(map_tasks(write_clip, tasks)) as results:
        sizes = [size for _, size in results if not isinstance(size, Crashed)]
    if len(sizes) < clips:
        raise RuntimeError(f"{clips - len(sizes)} of {clips} processes that encode {codec} died")
    _describe(bench, codec, names, side).save()
    folder.rename(bench.media / codec)
    seconds = time.perf_counter() - began
    return {"clips": clips, "seconds": seconds, "kB_a_frame": sum(sizes) / clips / bench.sizes.stored / 1000}


def _describe(bench: Bench, codec: str, names: list[str], side: int) -> Dataset:
    """Return the dataset of the clips that were made, without probing them."""
    classes = [f"class {number}" for number in range(bench.sizes.classes)]
    clips = [
        ListedClip(
            path=name, kind=KIND.get(codec, "video"), label=classes[clip % len(classes)], where="bench",
            splits=_splits(clip, len(names)),
        )
        for clip, name in enumerate(names)
    ]  # fmt: skip
    frames = bench.sizes.stored
    known = Probe(frames=frames, width=side, height=side, codec=codec, stored=frames)
    table = with_probes(listed_table(clips, classes, folds=SHORT), [known] * len(clips))
    folder = bench.media / f"{codec}.partial"
    return Dataset(folder=folder, name=codec, classes=tuple(classes), root="media", clips=table, made_by="bench")


def _splits(clip: int, clips: int) -> dict[int, str]:
    split = "test" if clip % _TEST_EVERY == _TEST_EVERY - 1 else "train"
    return {WHOLE: split, SHORT: split} if clip < max(clips // 8, 2 * _TEST_EVERY) else {WHOLE: split}


def _make_faces(bench: Bench) -> Row:
    began = time.perf_counter()
    synth = Synth(clips=bench.sizes.learnt, classes=bench.sizes.classes, frames=16, size=64, codec="jpeg")
    generate(synth, bench.media / "faces", lambda _done, _total: None)
    return {"clips": synth.clips, "seconds": time.perf_counter() - began}
