"""The datasets of a grid's runs, painted if needed, and their labels if these are not the dataset's."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.dataset import TRUTH
from sciu.pipeline.dataset.synth import generate
from sciu.pipeline.dataset.system.files import write_atomically
from sciu.pipeline.errors import SettingError, require
from sciu.tools.experiment.grid.jobs import Job, Places
from sciu.tools.experiment.grid.spec import GIVEN, PART, PARTS, Source

if TYPE_CHECKING:
    from sciu.pipeline.train.evaluation.detection import Truth

Labels = NDArray[np.int16]
Painting = Callable[[int, int], None]
_RANDOM_PRUNING, _RANDOM_PARTS = 7, 8


def given_folders(assignments: tuple[str, ...], sources: tuple[Source, ...]) -> dict[str, Path]:
    """Return the folders that the command line names, `NAME=PATH` each."""
    found, names = {}, [source.name for source in sources]
    for text in assignments:
        name, _, path = text.partition("=")
        require(name in names and bool(path), "--data", f"NAME=PATH with NAME one of {', '.join(names)}", repr(text))
        found[name] = Path(path)
    return found


def folder_of(job: Job, places: Places, given: dict[str, Path]) -> Path:
    """Return the folder of a run's dataset, which may still have to be painted."""
    source = job.data
    if source.name in given:
        return given[source.name]
    if source.synth is not None:
        return places.out / "data" / (f"{source.name}-seed{job.seed}" if source.per_seed else source.name)
    if not source.path:
        raise SettingError(f"data '{source.name}' must have a folder. Give --data {source.name}=PATH.")
    return Path(source.path)


def make_dataset(job: Job, folder: Path, progress: Painting) -> None:
    """Paint a run's dataset unless it exists; raise an error if its folder holds another one, or none."""
    if job.data.synth is None or folder.exists():
        dataset = Dataset.load(folder)
        if job.data.synth is not None and dataset.made_by != str(job.data.painted(job.seed)):
            raise DatasetError(
                f"'{folder}' must be {job.data.painted(job.seed)}, but is {dataset.made_by}. Remove it, or choose"
                " another --out."
            )
    else:
        folder.parent.mkdir(parents=True, exist_ok=True)
        generate(job.data.painted(job.seed), folder, progress)


def labels_of(job: Job, data: Path, places: Places) -> Path | None:
    """Return the value of a run's `--labels-from`; write the file if it is one."""
    if job.row.labels == GIVEN:
        return None
    if job.row.labels == "cleaned":
        return places.run(job.needs)
    dataset = Dataset.load(data)
    if job.row.labels == "random":
        labels = pruned_at_random(*first_and_last_labels(places.run(job.needs)), job.seed)
    elif job.row.labels == PART:
        labels = without_part(dataset, job.fold or 1, job.row.part, job.seed)
    else:
        labels = true_labels(dataset, job.fold or 1, unjudged=job.row.labels == "truth")
    path = places.labels(job.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.save(content, labels)
    write_atomically(path, content.getvalue())
    return path


def require_truth(dataset: Dataset) -> Truth:
    """Return the truth of a dataset; raise an error if it has none."""
    from sciu.pipeline.train.evaluation.detection import read_truth

    if (truth := read_truth(dataset)) is None:
        raise DatasetError(f"'{dataset.folder / TRUTH}' must hold the true labels, but is missing. Put it there.")
    return truth


def true_labels(dataset: Dataset, fold: int, *, unjudged: bool) -> Labels:
    """Return the true labels; bad clips do not train, unjudged ones train with the label given or not at all."""
    from sciu.pipeline.train.purify import labels_to_train

    truth = require_truth(dataset)
    labels = labels_to_train(dataset, fold)
    trains, known = labels >= 0, truth.label >= 0
    labels[trains & known] = truth.label[trains & known]
    labels[truth.low_quality | ~(known | unjudged)] = -1
    return labels


def without_part(dataset: Dataset, fold: int, part: int, seed: int) -> Labels:
    """Return the labels given, without those of one part of the clips; parts are stratified by class."""
    from sciu.pipeline.train.purify import labels_to_train

    labels = labels_to_train(dataset, fold)
    shuffled = np.random.default_rng([seed, _RANDOM_PARTS]).permutation(np.flatnonzero(labels >= 0))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    labels[by_class[part - 1 :: PARTS]] = -1
    return labels


def first_and_last_labels(run: Path) -> tuple[Labels, Labels]:
    """Return the labels that a finished run began with and those that it ended with."""
    from sciu.pipeline.train.record.history import read_history
    from sciu.pipeline.train.record.run_folder import RunFolder
    from sciu.purification.index import EpochIndex

    folder = RunFolder(run)
    epochs = len(read_history(folder))
    first, last = (EpochIndex.read(folder.index, epoch).labels for epoch in (1, epochs + 1))
    return first, last


def pruned_at_random(first: Labels, last: Labels, seed: int) -> Labels:
    """Prune at random as many clips as a run pruned; the others keep the labels that it began with."""
    trained = np.flatnonzero(first >= 0)
    count = len(trained) - int((last[trained] >= 0).sum())
    labels = first.copy()
    labels[np.random.default_rng([seed, _RANDOM_PRUNING]).choice(trained, count, replace=False)] = -1
    return labels
