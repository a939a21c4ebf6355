"""What a run reports: a line per epoch, `log.jsonl`, `summary.json`, TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.media.probe import MEDIA_ERRORS
from sciu.pipeline.dataset.system.files import write_atomically
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.evaluation.detection import Truth, detection
from sciu.pipeline.train.purify import Labels
from sciu.pipeline.train.record.epoch_record import EpochRecord, PurifyResult
from sciu.pipeline.train.record.history import read_history
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.record.run_state import BestEpoch, RunState
from sciu.pipeline.train.report.learning import warning_of
from sciu.pipeline.train.report.matrices import Matrix, picture_of
from sciu.pipeline.train.report.pictures import moving_clips
from sciu.pipeline.train.report.summary import Summary
from sciu.pipeline.train.report.tensorboard import EventFiles
from sciu.purification import EpochIndex, Purifier
from sciu.purification.care.report import classes_of
from sciu.purification.clip_state import Status

_MOVING_FRAMES = 12
_COUNTS = ("pruned", "corrected", "quarantined", "training", "newly_pruned", "newly_corrected", "restored")
Say = Callable[[str], None]
WARNING = "Warning: "  # what lines begin with that are said also where others are not


@dataclass(kw_only=True)
class Telemetry:
    """Reports each epoch once it is decided; reporting it again changes nothing."""

    folder: RunFolder
    settings: Settings
    dataset: Dataset
    purifier: Purifier
    begin: Callable[[int], EventFiles]  # opens event files from an epoch on
    device: str
    say: Say
    truth: Truth | None = None
    _events: EventFiles | None = None
    _drawing: Future[None] | None = None  # the pictures of an epoch

    def __post_init__(self) -> None:
        self._artist = ThreadPoolExecutor(1, "sciu-pictures")

    def has_reported(self, epoch: int) -> bool:
        """Return whether the log has an epoch; a damaged one, which is written again, has none."""
        try:
            return any(record.epoch == epoch for record in read_history(self.folder))
        except RunError:
            return False

    def report(self, state: RunState, following: EpochIndex, *, again: bool = False) -> None:
        """Report an epoch: what was measured, and what its scores led to; its line is not printed again."""
        record = state.end_epoch(self._purified(following))
        self._write(state)
        self._events = self._events or self.begin(state.epoch)
        self._show(self._events, record, following)
        if again:
            return
        self.say(_line(self.settings.epochs, record, state.best))
        if warning := warning_of(state.history, self.settings.lr):
            self.say(f"{WARNING}{warning}")

    def _purified(self, following: EpochIndex) -> PurifyResult:
        """Return the counts that the next index was published with, and those by class."""
        header = following.header
        states = self.purifier.states_at(following.epoch)  # in a resumed run the store may be further
        rows = [each.to_json() for each in classes_of(states, self.purifier.class_names)]
        found = None
        if self.truth is not None:
            train = np.flatnonzero(states.given >= 0)
            found = detection(self.truth, train, states.given, following.labels, states.has(Status.PRUNED))
        return PurifyResult(
            counts=header.counts, thresholds=header.thresholds, spared=header.spared,
            classes={row.pop("class"): row for row in rows}, detection=found,
        )  # fmt: skip

    def _write(self, state: RunState) -> None:
        lines = "".join(json.dumps(record.to_json(), ensure_ascii=False) + "\n" for record in state.history)
        write_atomically(self.folder.log, lines.encode())
        summary = json.dumps(self.summary(state).to_json(), indent=2)
        write_atomically(self.folder.summary, f"{summary}\n".encode())

    def summary(self, state: RunState) -> Summary:
        """Summarise the epochs that have ended."""
        return Summary.of(self.settings, state, dataset=self.dataset.name, device=self.device)

    # ---- TensorBoard

    def __enter__(self) -> Telemetry:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the event files after the last pictures; after an error, do not wait for those."""
        self._artist.shutdown(wait=kind is None, cancel_futures=kind is not None)
        if self._events:
            self._events.close()
        if kind is None:
            self._await_pictures()

    def _await_pictures(self) -> None:
        """Wait for the pictures of the epoch before, and raise their error if there was one."""
        if self._drawing is not None:
            drawing, self._drawing = self._drawing, None
            drawing.result()

    def _show(self, events: EventFiles, record: EpochRecord, following: EpochIndex) -> None:
        epoch = record.epoch
        events.numbers(epoch, _numbers(record))
        evidence = self.purifier.evidence()
        scored = evidence.scores > 0
        events.histogram(epoch, "scores/weight", evidence.weight[scored])
        events.histogram(epoch, "scores/score", evidence.confidence[scored])
        events.histogram(epoch, "scores/delta", evidence.delta[scored])
        events.flush()
        self._await_pictures()
        self._drawing = self._artist.submit(self._show_pictures, events, record, following)

    def _show_pictures(self, events: EventFiles, record: EpochRecord, following: EpochIndex) -> None:
        """Show the confusion and clips of this epoch's decision, while the next epoch trains: all takes a second."""
        epoch = record.epoch
        for split, result in record.evaluated.items():
            title = f"{split}, epoch {epoch}: WAR {result.war:.1%}, UAR {result.uar:.1%}"
            matrix = Matrix(title=title, counts=np.array(result.confusion), classes=self.dataset.classes)
            events.picture(epoch, f"{split}/confusion", picture_of([matrix]))
        for what, clips in (("pruned", following.pruned), ("corrected", following.corrected)):
            self._preview(events, epoch, what, clips[: self.settings.previews], following.labels)
        events.flush()

    def _preview(self, events: EventFiles, epoch: int, what: str, clips: NDArray[np.int64], now: Labels) -> None:
        """Show some clips of this epoch's decision, except those that cannot be read."""
        shown, captions = [], []
        for clip in clips.tolist():
            numbers = np.linspace(0, self.dataset.clips.frames[clip] - 1, _MOVING_FRAMES).astype(int).tolist()
            try:
                shown.append(self.dataset.read(clip, numbers))
            except MEDIA_ERRORS:
                continue
            given = self.dataset.classes[self.dataset.labels[clip]]
            captions.append(f"{clip}: {given}" + (f"\n-> {self.dataset.classes[now[clip]]}" if now[clip] >= 0 else ""))
        if shown:
            events.picture(epoch, f"previews/{what}", moving_clips(shown, captions))


def _numbers(record: EpochRecord) -> dict[str, float]:
    """Return the numbers of an epoch by their TensorBoard tags."""
    assert record.purify is not None
    purify, spent = record.purify, record.spent
    found: dict[str, float] = {
        "train/loss": record.loss, "train/accuracy": record.accuracy, "train/rate": record.lr,
        "speed/clips_per_second": record.clips_per_second, "speed/waiting": record.waiting,
        "speed/seconds": spent.seconds, "speed/clips": spent.clips, "speed/decoded": spent.decoded,
    }  # fmt: skip
    for split, result in record.evaluated.items():
        found |= {f"{split}/war": result.war, f"{split}/uar": result.uar}
        found |= {f"{split}/recall/{name}": value for name, value in result.recalls.items() if value is not None}
    found |= {f"purify/{name}": purify.counts[name] for name in _COUNTS}
    found |= {f"purify/threshold/{name}": value for name, value in purify.thresholds.items()}
    found |= {f"purify/spared/{name}": value for name, value in purify.spared.items()}
    for name, row in purify.classes.items():
        found |= {f"purify/class/{what}/{name}": row[what] for what in ("training", "pruned", "corrected_away")}
    return found


def _line(epochs: int, record: EpochRecord, best: BestEpoch | None) -> str:
    """Return the line that a run prints for an epoch."""
    assert record.purify is not None
    counts = record.purify.counts
    parts = [f"epoch {record.epoch}/{epochs}", f"loss {record.loss:.3f}", f"accuracy {record.accuracy:.1%}"]
    parts += [f"{split} WAR {each.war:.1%} UAR {each.uar:.1%}" for split, each in record.evaluated.items()]
    if best and best.epoch == record.epoch:
        parts[-1] += " (best)"
    if counts["pruned"] or counts["corrected"]:
        parts.append(f"pruned {counts['pruned']:,} (+{counts['newly_pruned']:,})")
        parts.append(f"corrected {counts['corrected']:,} (+{counts['newly_corrected']:,})")
    if pull := record.purify.thresholds.get("pull"):
        parts.append(f"pull {pull:.2f}")
    if counts["quarantined"]:
        parts.append(f"quarantined {counts['quarantined']:,}")
    speed = f"{record.clips_per_second:,.0f} clips/s, {record.waiting:.0%} waiting, {record.spent.seconds:.1f} s"
    return "  ".join([*parts, speed])
