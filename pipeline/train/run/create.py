"""Create a run: which clips it trains on, and its store and card, in a folder that appears once it is complete."""

from __future__ import annotations

import shlex
import uuid
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset, list_paths
from sciu.pipeline.dataset.splits.divide import REST, divide
from sciu.pipeline.dataset.system.files import new_folder, sha256, write_atomically
from sciu.pipeline.train.config.methods import policy_of
from sciu.pipeline.train.config.resolve import Resolved
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.purify import (
    Labels,
    cleaned_labels,
    emptied_classes,
    labels_of_file,
    labels_to_train,
)
from sciu.pipeline.train.record.run_card import DatasetCard, RunCard
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.run.own_backbone import keep_source
from sciu.purification import Purifier


@dataclass(frozen=True, kw_only=True, eq=False)
class RunClips:
    """The clips of a new run."""

    labels: Labels  # -1 for clips that it does not train on
    source: dict[str, str] | None  # the file or run that the labels were taken from
    held_out: NDArray[np.int64]  # clips that choose the best epoch


def choose_clips(settings: Settings, dataset: Dataset) -> RunClips:
    """Return what a new run trains on, and what chooses its best epoch; raise if it cannot learn or be tested so."""
    labels, source = _labels(settings, dataset)
    held_out = _held_out(settings, dataset)
    labels[held_out] = -1
    _require_clips(labels, dataset, settings)
    return RunClips(labels=labels, source=source, held_out=held_out)


def create_run(folder: RunFolder, resolved: Resolved, command: str, dataset: Dataset, clips: RunClips) -> RunCard:
    """Create the folder of a new run; return its card."""
    settings = resolved.settings
    with new_folder(folder.path, maker="training run") as partial:
        with Purifier.create(
            partial / folder.store.name, labels=clips.labels, num_classes=len(dataset.classes),
            policy=policy_of(settings), paths=list_paths(dataset), class_names=dataset.classes,
            fingerprint=dataset.fingerprint, network=settings.network_store,
        ) as purifier:  # fmt: skip
            created = purifier.events()[0].time
        card = RunCard(
            run=uuid.uuid4().hex, command=command, settings=settings, origins=resolved.origins,
            dataset=DatasetCard.of(dataset), labels_from=clips.source, held_out=clips.held_out.tolist(), store=created,
            backbone=keep_source(RunFolder(partial), settings.backbone), version=metadata.version("sciu"),
        )  # fmt: skip
        write_atomically(RunFolder(partial).settings, resolved.toml().encode())
        RunFolder(partial).write(card)
    return card


def _held_out(settings: Settings, dataset: Dataset) -> NDArray[np.int64]:
    """Return the clips that choose the best epoch: those of the dataset's val split, or a share of the training clips.

    A share is drawn by the dataset's labels, whatever labels the run trains with: the same seed gives the same clips.
    """
    own = dataset.ids("val", settings.fold)
    if not settings.validation:
        return own
    if len(own):
        raise RunError(
            f"validation must be 0 where the dataset has val clips of its own, {len(own):,} in fold {settings.fold},"
            f" but is {settings.validation}. Leave it out to choose the best epoch by those."
        )
    ids, clips = dataset.ids("train", settings.fold), dataset.clips
    parts = divide(clips.label.some(ids), clips.group.some(ids), {"validation": settings.validation}, settings.seed)
    held_out: NDArray[np.int64] = ids[parts != REST]
    return held_out


def _require_clips(labels: Labels, dataset: Dataset, settings: Settings) -> None:
    """Raise if there are no classes to tell apart, a class has no clips to train on, or there are none to test on."""
    fold, split = settings.fold, f"sciu-data split {shlex.quote(str(dataset.folder))}"
    tested = dataset.splits(fold).where("test")
    if not tested.any():
        raise RunError(
            f"dataset '{dataset.folder}' must have test clips in fold {fold}, but has none. Draw some:"
            f" `{split} --test 0.2`."
        )
    if dataset.quarantined[tested].all():
        raise RunError(
            f"all {tested.sum():,} test clips of fold {fold} are in quarantine. Repair them: `sciu-data check`."
        )
    if len(names := [dataset.classes[k] for k in np.unique(dataset.labels)]) < 2:
        raise RunError(
            f"dataset '{dataset.folder}' must have at least two classes to tell apart, but has only {names}. Import it"
            " with the labels of another column or of other folders."
        )
    for k in emptied_classes(dataset.labels, labels):
        raise RunError(
            f"class '{dataset.classes[k]}' must have clips to train on, but has none in fold {fold}"
            + (
                f" with labels from '{settings.labels_from}'. Use others."
                if settings.labels_from
                else f". Divide the clips anew: `{split} --test 0.2 --replace`, or import it without the class."
            )
        )


def _labels(settings: Settings, dataset: Dataset) -> tuple[Labels, dict[str, str] | None]:
    if not settings.labels_from:
        return labels_to_train(dataset, settings.fold), None
    source = Path(settings.labels_from)
    if source.suffix == ".npy":
        labels = labels_of_file(source, dataset, settings.fold)
        return labels, {"file": str(source), "sha256": sha256(source.read_bytes())}
    run = RunFolder(source)
    return cleaned_labels(run, dataset, settings.fold), {"run": run.require().run, "folder": str(source)}
