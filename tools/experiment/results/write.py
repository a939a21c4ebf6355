"""Writes the result of one run: an object of numbers, and arrays with a value for every clip."""

from __future__ import annotations

import io
import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.system.files import write_atomically
from sciu.pipeline.train.config.choices import choose_device
from sciu.pipeline.train.evaluation.detection import read_truth, scores
from sciu.pipeline.train.purify import labels_to_train
from sciu.pipeline.train.record.epoch_record import EpochRecord, PurifyResult
from sciu.pipeline.train.record.history import read_history
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.report.summary import Summary
from sciu.pipeline.train.run.trained_run import TrainedRun
from sciu.purification import Purifier
from sciu.tools.experiment.grid.sources import first_and_last_labels, without_part
from sciu.tools.experiment.grid.spec import PART
from sciu.tools.experiment.results.detectors import mean_margins

Arrays = dict[str, np.ndarray]
_OF_AN_EPOCH = ("training", "pruned", "corrected")


def write_result(order: dict[str, Any], run: Path, seconds: float) -> None:
    """Write both files, the object last: if it exists, the run is done."""
    arrays = {**_tested(run), **_believed(run), **_withheld(run, order["facts"])}
    result = {**order["facts"], "command": shlex.join(["sciu-train", *order["arguments"]]), **_numbers(run, arrays)}
    result["seconds"] = {"run": round(seconds, 2), "epochs": round(sum(result.pop("seconds_per_epoch")), 2)}
    result = named(result, order["names"])
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type] # the stubs take names for options
    path = Path(order["result"])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(Path(order["arrays"]), content.getvalue())
    write_atomically(path, (json.dumps(result, ensure_ascii=False) + "\n").encode())


def named(value: Any, names: dict[str, str]) -> Any:
    """Replace the folders of this machine by names, so that results can be kept and compared anywhere."""
    if isinstance(value, str):
        for folder, name in names.items():
            value = value.replace(folder, name)
        return value
    if isinstance(value, dict):
        return {key: named(each, names) for key, each in value.items()}
    return [named(each, names) for each in value] if isinstance(value, list) else value


def _tested(run: Path) -> Arrays:
    """Evaluate the test clips with the network of the last epoch, as `sciu-eval` does."""
    trained, device = _trained(run)
    seen = trained.evaluate(device, split="test", views=None, progress=_silent)
    return {"test_ids": seen.ids, "test_probs": seen.probs, "test_labels": trained.dataset.labels[seen.ids]}


def _withheld(run: Path, facts: dict[str, Any]) -> Arrays:
    """Evaluate the part of the training clips that was withheld from the network, if any."""
    if facts["labels"] != PART:
        return {}
    trained, device = _trained(run)
    given = labels_to_train(trained.dataset, trained.settings.fold)
    seen = without_part(trained.dataset, trained.settings.fold, facts["part"], facts["seed"])
    unseen = np.flatnonzero((given >= 0) & (seen < 0))
    probs = trained.evaluate_clips(unseen, device, views=None, progress=_silent).probs
    true = _true(trained.dataset, unseen)
    return {"unseen_ids": unseen, "unseen_given": given[unseen], "unseen_probs": probs, **_prefixed("unseen_", true)}


def _trained(run: Path) -> tuple[TrainedRun, torch.device]:
    trained = TrainedRun.load(run)
    device, _ = choose_device(trained.settings.device, deterministic=trained.settings.deterministic)
    return trained, device


def _silent(_done: int, _total: int, _note: str) -> None:
    pass


def _prefixed(prefix: str, arrays: Arrays) -> Arrays:
    return {prefix + name: values for name, values in arrays.items()}


def _believed(run: Path) -> Arrays:
    """Return the final labels and scores of the clips that the run began with."""
    first, last = first_and_last_labels(run)
    dataset = Dataset.load(RunFolder(run).require().dataset.folder)
    ids = np.flatnonzero(first >= 0)
    with Purifier.open(RunFolder(run).store, read_only=True) as purifier:
        evidence, probs_KN = purifier.evidence(), purifier.mean_probabilities()
        margins = {"margin": mean_margins(purifier)[ids]} if purifier.policy.averages else {}
    return {
        **_true(dataset, ids), **margins,
        "train_ids": ids, "given": first[ids], "now": last[ids],
        "weight": evidence.weight[ids].astype(np.float32), "score": evidence.confidence[ids].astype(np.float32),
        "train_probs": probs_KN[:, ids].T.astype(np.float16),
    }  # fmt: skip


def _true(dataset: Dataset, ids: NDArray[np.int64]) -> Arrays:
    truth = read_truth(dataset)
    return {"true": truth.label[ids].astype(np.int16), "unusable": truth.low_quality[ids]} if truth else {}


def _numbers(run: Path, arrays: Arrays) -> dict[str, Any]:
    """Return the content of the run's files as one object."""
    card = RunFolder(run).require()
    summary = Summary.load(RunFolder(run))
    records = read_history(RunFolder(run))
    tested = {record.epoch: record.test.to_json() for record in records if record.test}
    last, best, classes = max(tested), summary.best_epoch, len(card.dataset.classes)
    return {
        "settings": asdict(card.settings), "dataset": asdict(card.dataset), "labels_from": card.labels_from,
        "last": {"epoch": last, **tested[last]},
        "best": {"epoch": best, "chosen_on": summary.best_chosen_on, **tested.get(best or 0, {})},
        "epochs": [_epoch(record) for record in records],
        "purify": _purify(records[-1]).to_json(), "detection": summary.detection, "doubted": _doubted(arrays),
        "train_classes": {
            "given": _counts(arrays["given"], classes), "now": _counts(arrays["now"], classes),
            "predicted": _counts(_predicted(arrays["train_probs"]), classes),
        },
        "device": summary.device, "seconds_per_epoch": summary.seconds_per_epoch,
    }  # fmt: skip


def _predicted(probs_NK: np.ndarray) -> np.ndarray:
    scored = probs_NK[~np.isnan(probs_NK).any(axis=1)]
    return scored.argmax(axis=1)


def _doubted(arrays: Arrays) -> dict[str, float | None] | None:
    """Compare the labels that the network contradicts with the wrong ones, without bad and unjudged clips."""
    if "true" not in arrays:
        return None
    judged = (arrays["true"] >= 0) & ~arrays["unusable"] & ~np.isnan(arrays["train_probs"]).any(axis=1)
    given = arrays["given"][judged]
    return scores(arrays["train_probs"][judged].argmax(axis=1) != given, arrays["true"][judged] != given)


def _counts(labels: np.ndarray, classes: int) -> list[int]:
    return [int(count) for count in np.bincount(labels[labels >= 0], minlength=classes)]


def _purify(record: EpochRecord) -> PurifyResult:
    assert record.purify is not None  # every epoch in the log has it
    return record.purify


def _epoch(record: EpochRecord) -> dict[str, Any]:
    purify, test = _purify(record), record.test
    return {
        "epoch": record.epoch, "loss": record.loss, "accuracy": record.accuracy,
        "war": test.war if test else None, "uar": test.uar if test else None,
        **{name: purify.counts[name] for name in _OF_AN_EPOCH},
        "labels_right": (purify.detection or {}).get("label_accuracy_after"),
    }  # fmt: skip
