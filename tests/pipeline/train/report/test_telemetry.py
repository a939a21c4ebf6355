"""An epoch is told as a line, in the log, in the summary and to TensorBoard; telling it again changes nothing."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.evaluation.detection import read_truth
from sciu.pipeline.train.purify import labels_to_train
from sciu.pipeline.train.record.epoch_record import EpochRecord, Spent, SplitResult
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.record.run_state import BestEpoch, RunState
from sciu.pipeline.train.report import telemetry as reporting
from sciu.pipeline.train.report.telemetry import Telemetry
from sciu.pipeline.train.report.tensorboard import EventFiles, layout
from sciu.purification import EpochIndex, Purifier, Sciu

SETTINGS = Settings(method="sciu", epochs=2)
POLICY = Sciu(prune_below=0.5, correct_above=0.2, window=1, warmup=1, keep_per_class=0.0)


def split(war: float, classes: tuple[str, ...]) -> SplitResult:
    recalls: dict[str, float | None] = {**dict.fromkeys(classes, war), classes[0]: None}
    counts = np.eye(len(classes), dtype=int).tolist()
    return SplitResult(clips=7, unreadable=0, war=war, uar=war / 2, recalls=recalls, confusion=counts)


def ended(measured: EpochRecord, best: BestEpoch | None = None) -> RunState:
    """The state of a run whose first epoch has ended."""
    return RunState(epoch=1, measured=measured, spent=measured.spent, best=best)


def record(epoch: int, **more: Any) -> EpochRecord:
    spent = Spent(seconds=2.0, waiting=0.5, clips=10, decoded=4)
    return EpochRecord(epoch=epoch, loss=1.25, accuracy=0.5, lr=0.1, spent=spent, **more)


def end_epoch(purifier: Purifier, *, unsure: list[int], other: list[int]) -> EpochIndex:
    """Let the network be unsure of some clips, and sure that others are of the next class."""
    states, ids = purifier.states(), purifier.index().ids
    probs = np.eye(purifier.num_classes)[(states.label[ids] + np.isin(ids, other)) % purifier.num_classes]
    purifier.record(ids, np.where(np.isin(ids, unsure), 0.1, 0.9), probs)
    return purifier.end_epoch()


@dataclass
class Told:
    """What tells, and what it has said."""

    telemetry: Telemetry
    purifier: Purifier
    lines: list[str]

    @property
    def folder(self) -> Path:
        return self.telemetry.folder.path

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "log.jsonl").read_text().splitlines()]

    def events(self) -> EventAccumulator:
        """What TensorBoard shows, once all is written."""
        return EventAccumulator(str(self.folder / "tensorboard"), size_guidance={"images": 0}).Reload()


def telemetry_of(data: Dataset, purifier: Purifier, folder: Path, lines: list[str], **more: Any) -> Telemetry:
    given = {"settings": SETTINGS, "truth": None, **more}
    return Telemetry(
        folder=RunFolder(folder), dataset=data, purifier=purifier, device="cpu", say=lines.append,
        begin=lambda epoch: EventFiles(folder / "tensorboard", "lr = 0.1  # default", epoch, data.classes), **given,
    )  # fmt: skip


@pytest.fixture
def data(frame_faces: Dataset, tmp_path: Path) -> Dataset:
    """Clips that may be destroyed."""
    shutil.copytree(frame_faces.folder, tmp_path / "data")
    return Dataset.load(tmp_path / "data")


@pytest.fixture
def told(data: Dataset, tmp_path: Path) -> Iterator[Told]:
    labels, lines = labels_to_train(data, 1), list[str]()
    with Purifier.create(
        tmp_path / "run/purifier", labels=labels, num_classes=len(data.classes), policy=POLICY, class_names=data.classes
    ) as purifier:
        yield Told(telemetry_of(data, purifier, tmp_path / "run", lines), purifier, lines)


def decided(told: Told, data: Dataset) -> tuple[RunState, EpochIndex]:
    """An epoch that led to something: one clip pruned, two corrected."""
    train = data.ids("train").tolist()
    index = end_epoch(told.purifier, unsure=[train[2]], other=[train[5], train[7]])
    assert (index.pruned.tolist(), index.corrected.tolist()) == ([train[2]], [train[5], train[7]])
    return ended(record(1, test=split(0.5, data.classes))), index


# ---- the line


def line_of(told: Told, index: EpochIndex, state: RunState, **counts: int) -> list[str]:
    """The parts of the line of an epoch that led to other counts."""
    header = replace(index.header, counts={**dict.fromkeys(index.header.counts, 0), **counts}, thresholds={})
    told.telemetry.report(state, replace(index, header=header))
    return told.lines[-1].split("  ")


def test_the_line_of_an_epoch_that_was_neither_evaluated_nor_changed_anything(told: Told, data: Dataset) -> None:
    _, index = decided(told, data)
    with told.telemetry:
        parts = line_of(told, index, ended(record(1)), clips=21)
    assert parts == ["epoch 1/2", "loss 1.250", "accuracy 50.0%", "5 clips/s, 25% waiting, 2.0 s"]


def test_the_line_of_an_epoch_with_everything(told: Told, data: Dataset) -> None:
    _, index = decided(told, data)
    both = record(1, validation=split(0.4, data.classes), test=split(0.5, data.classes))
    best = BestEpoch(epoch=1, chosen_on="validation", score=0.4, war=0.5, uar=0.25)
    counts = {"pruned": 1234, "newly_pruned": 5, "corrected": 2, "newly_corrected": 1, "quarantined": 1001}
    with told.telemetry:
        parts = line_of(told, index, ended(both, best), **counts)
        older = replace(best, epoch=0)
        again = line_of(told, index, ended(both, older), corrected=2)
    assert parts == [
        "epoch 1/2", "loss 1.250", "accuracy 50.0%", "validation WAR 40.0% UAR 20.0%",
        "test WAR 50.0% UAR 25.0% (best)", "pruned 1,234 (+5)", "corrected 2 (+1)", "quarantined 1,001",
        "5 clips/s, 25% waiting, 2.0 s",
    ]  # fmt: skip
    assert again[4:7] == ["test WAR 50.0% UAR 25.0%", "pruned 0 (+0)", "corrected 2 (+0)"]


def test_the_line_says_how_strong_the_pull_is(told: Told, data: Dataset) -> None:
    """Of methods that pull."""
    state, index = decided(told, data)
    with told.telemetry:
        told.telemetry.report(state, replace(index, header=replace(index.header, thresholds={"pull": 1.5})))
    assert "pull 1.50" in told.lines[-1].split("  ")


# ---- log and summary


def test_log_and_summary_are_what_was_measured_and_decided(told: Told, data: Dataset) -> None:
    state, index = decided(told, data)
    with told.telemetry:
        told.telemetry.report(state, index)
    (line,) = told.log()
    assert EpochRecord.from_json(line) == state.history[0]
    assert {name: line["purify"][name] for name in ("clips", "pruned", "corrected", "newly_corrected")} == {
        "clips": len(data.ids("train")), "pruned": 1, "corrected": 2, "newly_corrected": 2,
    }  # fmt: skip
    assert [*line["purify"]["classes"]] == list(data.classes)
    gone = data.classes[int(data.labels[int(index.pruned[0])])]
    assert [name for name, row in line["purify"]["classes"].items() if row["pruned"]] == [gone]
    assert "detection" not in line["purify"]
    summary = json.loads((told.folder / "summary.json").read_text())
    assert summary == told.telemetry.summary(state).to_json()
    assert (summary["dataset"], summary["device"], summary["epochs_done"]) == (data.name, "cpu", 1)
    assert (summary["pruned"], summary["corrected"], summary["war"]) == (1, 2, 0.5)


def test_where_the_truth_is_known_it_is_held_against_the_labels(told: Told, data: Dataset) -> None:
    state, index = decided(told, data)
    told.telemetry.truth = truth = read_truth(data)
    assert truth is not None
    with told.telemetry:
        told.telemetry.report(state, index)
    found = told.log()[0]["purify"]["detection"]
    ids = data.ids("train")
    ids = ids[truth.label[ids] >= 0]
    kept = ids[index.labels[ids] >= 0]
    assert found["label_accuracy_before"] == pytest.approx((data.labels[ids] == truth.label[ids]).mean(), abs=1e-4)
    assert found["label_accuracy_after"] == pytest.approx((index.labels[kept] == truth.label[kept]).mean(), abs=1e-4)


def test_telling_an_epoch_again_changes_nothing_however_far_the_store_is(told: Told, data: Dataset) -> None:
    """As a run does that was killed after it had decided."""
    state, index = decided(told, data)
    then = RunState.from_json(state.to_json())
    with told.telemetry:
        told.telemetry.report(state, index)
        before = told.log(), json.loads((told.folder / "summary.json").read_text())
        end_epoch(told.purifier, unsure=data.ids("train")[8:12].tolist(), other=[])
        assert told.purifier.states().status.sum() > 1
        told.telemetry.report(then, told.purifier.index_at(2))
    assert (told.log(), json.loads((told.folder / "summary.json").read_text())) == before
    assert told.lines[0] == told.lines[1]


def test_epochs_that_have_ended_stay_in_the_log(told: Told, data: Dataset) -> None:
    state, index = decided(told, data)
    with told.telemetry:
        told.telemetry.report(state, index)
        state.begin_next()
        state.measured, state.spent = record(2), record(2).spent
        told.telemetry.report(state, end_epoch(told.purifier, unsure=[], other=[]))
    assert [line["epoch"] for line in told.log()] == [1, 2]
    assert json.loads((told.folder / "summary.json").read_text())["clips_per_epoch"] == [10, 10]


# ---- TensorBoard


def test_tensorboard_has_the_numbers(told: Told, data: Dataset) -> None:
    state, index = decided(told, data)
    with told.telemetry:
        told.telemetry.report(state, index)
    events = told.events()
    tags = set(events.Tags()["scalars"])
    found = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}
    expected = {
        "train/loss": 1.25, "train/accuracy": 0.5, "train/rate": 0.1, "speed/clips_per_second": 5.0,
        "speed/waiting": 0.25, "speed/seconds": 2.0, "speed/clips": 10.0, "speed/decoded": 4.0,
        "test/war": 0.5, "test/uar": 0.25, f"test/recall/{data.classes[1]}": 0.5,
        "purify/pruned": 1.0, "purify/corrected": 2.0, "purify/newly_pruned": 1.0, "purify/newly_corrected": 2.0,
        "purify/restored": 0.0, "purify/quarantined": 0.0, "purify/training": len(data.ids("train")) - 1.0,
        "purify/threshold/prune_below": 0.5, "purify/threshold/correct_above": 0.2,
    }  # fmt: skip
    assert {tag: found[tag] for tag in expected} == {
        tag: [(1, pytest.approx(value))] for tag, value in expected.items()
    }
    assert f"test/recall/{data.classes[0]}" not in tags, "a class without clips has no recall"
    assert not any(tag.startswith("validation") for tag in tags)
    pruned = [found[f"purify/class/pruned/{name}"][0][1] for name in data.classes]
    assert sum(pruned) == 1


def test_what_a_killed_run_left_behind_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its epochs are written anew by the run that goes on."""
    counter = event_file_writer.AtomicCounter(0)  # ends a file's name: 10 is sorted before 9
    monkeypatch.setattr(event_file_writer, "_global_uid", counter)
    left = EventFiles(tmp_path, "lr = 0.1", 1, ())
    for epoch in (1, 2, 3):
        left.numbers(epoch, {"train/loss": float(epoch)})
    left.close()
    again = EventFiles(tmp_path, "lr = 0.1", 2, ())
    again.numbers(2, {"train/loss": 20.0})
    again.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(1, 1.0), (2, 20.0)]


def test_each_class_has_a_chart_of_its_own_in_which_runs_are_compared() -> None:
    """In one for all, three runs of seven classes are 21 curves."""
    charts = layout(["sad", "sadness", "a+ (b)"])["Recall"]
    tags = [f"{split}/recall/{name}" for split in ("test", "validation") for name in charts]
    shown = {name: [tag for tag in tags if re.match(pattern, tag)] for name, (_, (pattern,)) in charts.items()}
    assert shown == {name: [f"test/recall/{name}", f"validation/recall/{name}"] for name in charts}


def test_a_histogram_of_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    """The delta of a clip whose predictions differ is none."""
    files = EventFiles(tmp_path, "", 1, ())
    files.histogram(1, "some", np.array([np.nan, 0.5, np.inf]))
    files.histogram(1, "none", np.full(3, np.nan))
    files.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert events.Tags()["histograms"] == ["some"]
    assert events.Histograms("some")[0].histogram_value.num == 1


# ---- previews


def test_clips_of_the_decision_are_shown_but_for_those_that_cannot_be_read(told: Told, data: Dataset) -> None:
    state, index = decided(told, data)
    shutil.rmtree(data.path(int(index.corrected[0])))
    with told.telemetry:
        told.telemetry.report(state, index)
    events = told.events()
    sizes = {}
    for what in ("pruned", "corrected"):
        (event,) = events.Images(f"previews/{what}")
        image = Image.open(io.BytesIO(event.encoded_image_string))
        assert (image.format, getattr(image, "n_frames", 1) > 1) == ("GIF", True)
        sizes[what] = image.size
    assert sizes["corrected"] == sizes["pruned"], "one clip each"
    (event,) = events.Images("test/confusion")
    assert Image.open(io.BytesIO(event.encoded_image_string)).format == "PNG"


def test_none_are_shown_where_none_can_be(told: Told, data: Dataset) -> None:
    state, index = decided(told, data)
    told.telemetry.settings = replace(SETTINGS, previews=1)
    for clip in [*index.pruned.tolist(), index.corrected[0]]:
        shutil.rmtree(data.path(int(clip)))
    with told.telemetry:
        told.telemetry.report(state, index)
    assert not any(tag.startswith("previews/") for tag in told.events().Tags()["images"])


def test_what_goes_wrong_with_previews_is_heard_at_the_end(
    told: Told, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless something else went wrong, which is what must be told."""

    def full(*_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(reporting, "moving_clips", full)
    state, index = decided(told, data)
    with pytest.raises(ZeroDivisionError), told.telemetry:
        told.telemetry.report(state, index)
    other = telemetry_of(data, told.purifier, told.folder, told.lines)
    with pytest.raises(KeyError, match="another"), other:
        other.report(state, index)
        raise KeyError("another")
