"""Create a run: which clips it trains on, its store and its card, in a folder that appears once it is complete."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path

from sciu.pipeline.dataset import Dataset, list_paths
from sciu.pipeline.dataset.system.files import new_folder, write_atomically
from sciu.pipeline.errors import require
from sciu.pipeline.train.config.methods import policy_of
from sciu.pipeline.train.config.resolve import Resolved
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.purify import (
    Labels,
    cleaned_labels,
    emptied_classes,
    hold_out,
    labels_of_file,
    labels_to_train,
)
from sciu.pipeline.train.record.run_card import DatasetCard, RunCard
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.purification import Purifier


def create_run(folder: RunFolder, resolved: Resolved, command: str, dataset: Dataset) -> RunCard:
    """Create the folder of a new run; return its card."""
    settings = resolved.settings
    labels, source = _labels(settings, dataset)
    held_out = hold_out(labels, dataset.ids("train", settings.fold), settings.validation, settings.seed)
    held_out = held_out if len(held_out) else dataset.ids("val", settings.fold)
    _require_clips(labels, dataset, settings)
    tested = len(dataset.ids("test", settings.fold))
    require(tested > 0, "test split", f"of at least one clip in fold {settings.fold}", tested)
    with new_folder(folder.path, maker="training run") as partial:
        with Purifier.create(
            partial / folder.store.name, labels=labels, num_classes=len(dataset.classes), policy=policy_of(settings),
            paths=list_paths(dataset), class_names=dataset.classes, fingerprint=dataset.fingerprint,
            network=settings.network_store,
        ) as purifier:  # fmt: skip
            created = purifier.events()[0].time
        card = RunCard(
            run=uuid.uuid4().hex, command=command, settings=settings, origins=resolved.origins,
            dataset=DatasetCard.of(dataset), labels_from=source, held_out=held_out.tolist(), store=created,
        )  # fmt: skip
        content = json.dumps(card.to_json(), indent=2, ensure_ascii=False) + "\n"
        write_atomically(partial / "settings.toml", resolved.toml().encode())
        write_atomically(partial / folder.card.name, content.encode())
    return card


def _require_clips(labels: Labels, dataset: Dataset, settings: Settings) -> None:
    """Raise if a class of the dataset has no clips to train on: what is held out is the likely reason."""
    for k in emptied_classes(dataset.labels, labels):
        raise RunError(
            f"class '{dataset.classes[k]}' must have clips to train on, but has none in fold {settings.fold}"
            + (
                f" with labels from '{settings.labels_from}'. Use others."
                if settings.labels_from
                else f" with validation {settings.validation}. Hold out less, or import the dataset without the class."
            )
        )


def _labels(settings: Settings, dataset: Dataset) -> tuple[Labels, dict[str, str] | None]:
    if not settings.labels_from:
        return labels_to_train(dataset, settings.fold), None
    source = Path(settings.labels_from)
    if source.suffix == ".npy":
        return labels_of_file(source, dataset, settings.fold), {"file": str(source), "sha256": _sha256(source)}
    run = RunFolder(source)
    return cleaned_labels(run, dataset, settings.fold), {"run": run.require().run, "folder": str(source)}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
