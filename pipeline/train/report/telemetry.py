"""What a run tells of itself: a line an epoch, `log.jsonl`, `summary.json`, TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.files import write_atomically
from sciu.pipeline.dataset.probe import MEDIA_ERRORS
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.purify import Labels
from sciu.pipeline.train.report.detection import Truth, detection
from sciu.pipeline.train.report.pictures import confusion_picture, moving_clips
from sciu.pipeline.train.report.tensorboard import EventFiles
from sciu.pipeline.train.run.run_folder import RunFolder
from sciu.pipeline.train.run.run_state import RunState
from sciu.purification import EpochIndex, Purifier
from sciu.purification.care.report import classes_of
from sciu.purification.clip_state import Status

_MOVING_FRAMES = 12
Say = Callable[[str], None]


@dataclass(kw_only=True)
class Telemetry:
    """Tells each epoch, once it is decided; telling it again changes nothing."""

    folder: RunFolder
    settings: Settings
    dataset: Dataset
    purifier: Purifier
    begin: Callable[[int], EventFiles]  # from an epoch on
    device: str
    say: Say
    truth: Truth | None = None
    _events: EventFiles | None = None
    _drawing: Future[None] | None = None  # of an epoch's previews

    def __post_init__(self) -> None:
        self._artist = ThreadPoolExecutor(1, "sciu-previews")

    def tell(self, state: RunState, following: EpochIndex) -> None:
        """Tell an epoch: what was measured, and what its scores led to."""
        assert state.measured is not None
        record = {**state.measured, "purify": self._purification(following)}
        state.history = [*state.history[: state.epoch - 1], record]
        self._write(state)
        self._events = self._events or self.begin(state.epoch)
        self._show(self._events, state.epoch, record, following)
        self.say(_line(self.settings.epochs, record, state.best))

    def _purification(self, following: EpochIndex) -> dict[str, Any]:
        """Return the counts that the next index was published with, and by class."""
        header = following.header
        told = {**header["counts"], "thresholds": header["thresholds"], "spared": header["spared"]}
        states = self.purifier.states_at(following.epoch)  # the store may be further, in a run that goes on
        told["classes"] = {row.pop("class"): row for row in classes_of(states, self.purifier.class_names)}
        if self.truth is not None:
            train = np.flatnonzero(states.given >= 0)
            told["detection"] = detection(self.truth, train, states.given, following.labels, states.has(Status.PRUNED))
        return told

    def _write(self, state: RunState) -> None:
        lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in state.history)
        write_atomically(self.folder.path / "log.jsonl", lines.encode())
        summary = self.summary(state)
        write_atomically(self.folder.path / "summary.json", (json.dumps(summary, indent=2) + "\n").encode())

    def summary(self, state: RunState) -> dict[str, Any]:
        """Put the run in one object, of the epochs that have ended."""
        records = state.history
        last, best = records[-1], state.best or {}
        purify, settings = last["purify"], self.settings
        tested: dict[str, Any] = next((record["test"] for record in reversed(records) if record.get("test")), {})
        return {
            "method": settings.method, "backbone": settings.backbone, "pipeline": settings.pipeline,
            "seed": settings.seed, "device": self.device, "dataset": self.dataset.name, "fold": settings.fold,
            "epochs_done": last["epoch"],
            "war": tested.get("war"), "uar": tested.get("uar"),
            "war_best": best.get("war"), "uar_best": best.get("uar"), "best_epoch": best.get("epoch"),
            "best_chosen_on": best.get("chosen_on"),
            "train_clips": purify["clips"], "pruned": purify["pruned"], "corrected": purify["corrected"],
            "quarantined": purify["quarantined"],
            "clips_per_epoch": [record["clips"] for record in records],
            "decoded_per_epoch": [record["decoded"] for record in records],
            "cached_per_epoch": [record["cached"] for record in records],
            "seconds_per_epoch": [round(record["seconds"], 3) for record in records],
            "clips_per_second": round(last["clips_per_second"], 2),
            **({"detection": purify["detection"]} if "detection" in purify else {}),
        }  # fmt: skip

    # ---- TensorBoard

    def __enter__(self) -> Telemetry:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let go of the event files, after the last previews; what went wrong elsewhere does not wait for them."""
        self._artist.shutdown(wait=kind is None, cancel_futures=kind is not None)
        if self._events:
            self._events.close()
        if kind is None:
            self._await_previews()

    def _await_previews(self) -> None:
        """Wait for the previews of the epoch before, and raise what went wrong with them."""
        if self._drawing is not None:
            drawing, self._drawing = self._drawing, None
            drawing.result()

    def _show(self, events: EventFiles, epoch: int, record: dict[str, Any], following: EpochIndex) -> None:
        events.numbers(epoch, _numbers(record))
        evidence = self.purifier.evidence()
        scored = evidence.scores > 0
        events.histogram(epoch, "scores/weight", evidence.weight[scored])
        events.histogram(epoch, "scores/score", evidence.confidence[scored])
        events.histogram(epoch, "scores/delta", evidence.delta[scored])
        if record.get("test"):
            counts = np.array(record["test"]["confusion"])
            events.picture(epoch, "test/confusion", confusion_picture(counts, self.dataset.classes))
        events.flush()
        self._await_previews()
        self._drawing = self._artist.submit(self._show_previews, events, epoch, following)

    def _show_previews(self, events: EventFiles, epoch: int, following: EpochIndex) -> None:
        """Show clips of this epoch's decision, beside the next epoch's training: eight of each take a second."""
        for what, clips in (("pruned", following.pruned), ("corrected", following.corrected)):
            self._preview(events, epoch, what, clips[: self.settings.previews], following.labels)
        events.flush()

    def _preview(self, events: EventFiles, epoch: int, what: str, clips: NDArray[np.int64], now: Labels) -> None:
        """Show some clips of this epoch's decision; one that cannot be read is not shown."""
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


def _numbers(record: dict[str, Any]) -> dict[str, float]:
    purify = record["purify"]
    found = {f"train/{name}": record[name] for name in ("loss", "accuracy", "rate")}
    found |= {f"speed/{name}": record[name] for name in ("clips_per_second", "seconds", "clips", "decoded")}
    found["speed/waiting"] = record["waiting"] / record["seconds"]
    for split in ("test", "validation"):
        if measured := record.get(split):
            found |= {f"{split}/{name}": measured[name] for name in ("war", "uar")}
            found |= {
                f"{split}/recall/{name}": value for name, value in measured["recalls"].items() if value is not None
            }
    counts = ("pruned", "corrected", "quarantined", "training", "newly_pruned", "newly_corrected", "restored")
    found |= {f"purify/{name}": purify[name] for name in counts}
    found |= {f"purify/threshold/{name}": value for name, value in purify["thresholds"].items()}
    found |= {f"purify/spared/{name}": value for name, value in purify["spared"].items()}
    for name, row in purify["classes"].items():
        found |= {f"purify/class/{what}/{name}": row[what] for what in ("training", "pruned", "corrected_away")}
    return found


def _line(epochs: int, record: dict[str, Any], best: dict[str, Any] | None) -> str:
    """Put an epoch in a line."""
    parts = [f"epoch {record['epoch']}/{epochs}", f"loss {record['loss']:.3f}", f"accuracy {record['accuracy']:.1%}"]
    parts += [
        f"{split} WAR {record[split]['war']:.1%} UAR {record[split]['uar']:.1%}"
        for split in ("validation", "test") if record.get(split)
    ]  # fmt: skip
    if best and best["epoch"] == record["epoch"]:
        parts[-1] += " (best)"
    purify = record["purify"]
    if purify["pruned"] or purify["corrected"]:
        parts.append(f"pruned {purify['pruned']:,} (+{purify['newly_pruned']:,})")
        parts.append(f"corrected {purify['corrected']:,} (+{purify['newly_corrected']:,})")
    if pull := purify["thresholds"].get("pull"):
        parts.append(f"pull {pull:.2f}")
    if purify["quarantined"]:
        parts.append(f"quarantined {purify['quarantined']:,}")
    waiting = record["waiting"] / record["seconds"]
    parts.append(f"{record['clips_per_second']:,.0f} clips/s, {waiting:.0%} waiting, {record['seconds']:.1f} s")
    return "  ".join(parts)
