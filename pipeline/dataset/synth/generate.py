"""SynthDFER: a dataset of painted faces with known label errors and degraded clips."""

from __future__ import annotations

import csv
import io
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset.build import listed_table
from sciu.pipeline.dataset.check import Progress, with_probes
from sciu.pipeline.dataset.dataset import TRUTH, Dataset
from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.importers.listing import ListedClip
from sciu.pipeline.dataset.media.encode import KIND, SUFFIX, encode_clip, encode_jpeg
from sciu.pipeline.dataset.media.probe import Probe
from sciu.pipeline.dataset.synth.degrade import degrade
from sciu.pipeline.dataset.synth.expressions import CLASSES, Movement, perform
from sciu.pipeline.dataset.synth.faces import Identity, draw_identity, render
from sciu.pipeline.dataset.synth.noise import KINDS, Labels, mislabel
from sciu.pipeline.dataset.system.files import new_folder, write_atomically
from sciu.pipeline.dataset.system.workers import Crashed, map_tasks
from sciu.pipeline.dataset.table import ClipTable
from sciu.pipeline.errors import require

CLEAN, MISLABELLED, LOW_QUALITY = "clean", "mislabelled", "low_quality"
_CLIPS_A_PERSON = 10


@dataclass(frozen=True, kw_only=True)
class Synth:
    """The settings of `generate`."""

    clips: int = 700
    classes: int = 7
    frames: int = 32
    size: int = 64
    codec: str = "vp9"
    mislabel: float = 0.2
    low_quality: float = 0.2
    noise: str = "sym"
    test_share: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        require(2 <= self.classes <= len(CLASSES), "--classes", f"2 to {len(CLASSES)}", self.classes)
        require(
            2 * self.classes <= self.clips <= 10**7,
            "--clips",
            f"{2 * self.classes} (two per class) to 10000000",
            self.clips,
        )
        require(1 <= self.frames <= 10000, "--frames", "1 to 10000", self.frames)
        require(16 <= self.size <= 1024 and self.size % 2 == 0, "--size", "an even number from 16 to 1024", self.size)
        require(0.01 <= self.test_share <= 0.5, "--test-share", "0.01 to 0.5", self.test_share)
        require(self.seed >= 0, "--seed", "at least 0", self.seed)
        require(self.codec in SUFFIX, "--codec", f"one of {list(SUFFIX)}", self.codec)
        require(self.noise in KINDS, "--noise", f"one of {list(KINDS)}", self.noise)
        require(0 <= self.mislabel <= 1 and 0 <= self.low_quality <= 1, "--mislabel and --low-quality", "0 to 1",
                 (self.mislabel, self.low_quality))  # fmt: skip
        require(
            self.mislabel + self.low_quality <= 1,
            "--mislabel + --low-quality",
            "at most 1",
            self.mislabel + self.low_quality,
        )
        require(
            self.noise != "weak" or self.classes > CLASSES.index("neutral"),
            "--classes",
            "3 or more with --noise weak",
            self.classes,
        )


@dataclass(frozen=True, kw_only=True)
class Script:
    """The person, labels and kind of every clip. All of it follows from the settings' seed."""

    true_label: NDArray[np.int64]
    given_label: NDArray[np.int64]
    kind: NDArray[np.object_]
    test: NDArray[np.bool_]
    person: NDArray[np.int64]


def write_script(synth: Synth) -> Script:
    """Assign persons, then plant wrong labels and low quality in the training clips, never both in one clip."""
    rng = np.random.default_rng([synth.seed, 0])
    clip = np.arange(synth.clips)
    true_label, take = clip % synth.classes, clip // synth.classes
    every = round(1 / synth.test_share)  # one in `every` clips of each class is a test clip
    test = take % every == min(every - 1, int(take.max()))
    person = _cast(test, rng)
    train = np.flatnonzero(~test)
    spoilt, wrong = round(synth.low_quality * len(train)), round(synth.mislabel * len(train))
    low_quality = np.sort(rng.permutation(train)[:spoilt])
    usable = np.setdiff1d(train, low_quality)
    intensity = _intensity(synth, usable, true_label, person) if synth.noise == "weak" else np.ones(len(usable))
    given_label = true_label.copy()
    given_label[usable] = mislabel(true_label[usable], intensity, wrong, synth.noise, synth.classes, rng)
    kind = np.full(synth.clips, CLEAN, object)
    kind[low_quality] = LOW_QUALITY
    kind[given_label != true_label] = MISLABELLED
    return Script(true_label=true_label, given_label=given_label, kind=kind, test=test, person=person)


def _intensity(synth: Synth, clips: Labels, true_label: Labels, person: Labels) -> NDArray[np.float64]:
    """Return the strength of the expressions; this costs 0.1 ms per clip and only weak noise needs it."""
    plays = (_play(synth, int(clip), int(true_label[clip]), int(person[clip])) for clip in clips)
    return np.array([play.movement.intensity for play in plays])


def _cast(test: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Assign a person to every clip; no person is in both splits."""
    person = np.empty(len(test), np.int64)
    people = 0
    for split in (~test, test):
        members = rng.permutation(np.flatnonzero(split))
        person[members] = people + np.arange(len(members)) // _CLIPS_A_PERSON
        people = int(person[members].max()) + 1
    return person


@dataclass(frozen=True)
class _Play:
    person: Identity
    movement: Movement
    rng: np.random.Generator


def _play(synth: Synth, clip: int, label: int, person: int) -> _Play:
    """Return a clip's person and movement. Draws depend on seed and clip only, so clips are independent."""
    identity = draw_identity(np.random.default_rng([synth.seed, 1, person]))
    rng = np.random.default_rng([synth.seed, 2, clip])
    return _Play(identity, perform(label, identity.rest, synth.frames, rng), rng)


def generate(synth: Synth, out: Path, progress: Progress) -> Dataset:
    """Paint the clips on all cores and write the dataset to a new folder, with its `truth.csv`."""
    with new_folder(out, maker="synth") as folder:
        script = write_script(synth)
        (folder / "media").mkdir()
        tasks = [
            _Task(
                synth,
                clip,
                int(script.true_label[clip]),
                int(script.person[clip]),
                script.kind[clip] == LOW_QUALITY,
                folder,
            )
            for clip in range(synth.clips)
        ]
        with closing(map_tasks(_write_clip, tasks)) as results:
            for done, (position, result) in enumerate(results, start=1):
                if isinstance(result, Crashed):
                    raise DatasetError(f"the process that painted clip {position} died. Check the free memory.")
                progress(done, synth.clips)
        write_atomically(folder / TRUTH, _truth(synth, script))
        Dataset(
            folder=folder, name=f"synthdfer-{synth.seed}", classes=CLASSES[: synth.classes], root="media",
            clips=_table(synth, script), made_by=str(synth),
        ).save()  # fmt: skip
    return Dataset.load(out)


@dataclass(frozen=True)
class _Task:
    synth: Synth
    clip: int
    label: int
    person: int
    spoil: bool
    folder: Path


def _write_clip(task: _Task) -> None:
    play = _play(task.synth, task.clip, task.label, task.person)
    pixels = render(play.person, play.movement, task.synth.size, play.rng)
    if task.spoil:
        pixels = degrade(pixels, play.rng)
    path = task.folder / "media" / _name(task.synth, task.clip)
    if task.synth.codec == "jpeg":
        path.mkdir()
        for number, frame in enumerate(pixels, start=1):
            write_atomically(path / f"{number:05d}.jpg", encode_jpeg(frame), durable=False)
    else:
        write_atomically(path, encode_clip(list(pixels), task.synth.codec), durable=False)


def _name(synth: Synth, clip: int) -> str:
    """Return a clip's path; with `jpeg` it is a folder of frames, as in the published datasets."""
    return f"{clip:06d}" + ("" if synth.codec == "jpeg" else SUFFIX[synth.codec])


def _table(synth: Synth, script: Script) -> ClipTable:
    classes = list(CLASSES[: synth.classes])
    clips = [
        ListedClip(
            path=_name(synth, clip), kind=KIND[synth.codec], label=classes[script.given_label[clip]], where="synth",
            group=f"person {script.person[clip]}", splits={1: "test" if script.test[clip] else "train"},
        )
        for clip in range(synth.clips)
    ]  # fmt: skip
    known = Probe(frames=synth.frames, width=synth.size, height=synth.size, codec=synth.codec, stored=synth.frames)
    return with_probes(listed_table(clips, classes, folds=1), [known] * len(clips))


def _truth(synth: Synth, script: Script) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["clip_id", "true_label", "kind"])
    writer.writerows((clip, CLASSES[script.true_label[clip]], script.kind[clip]) for clip in range(synth.clips))
    return text.getvalue().encode()
