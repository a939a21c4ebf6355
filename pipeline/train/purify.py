"""The trainer's side of the purifier: the labels that a run starts with, and the end of each epoch."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.errors import RunError, TrainError
from sciu.pipeline.train.record.history import ending, read_history
from sciu.pipeline.train.record.run_card import RunCard
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.record.run_state import RunState
from sciu.pipeline.train.step.clip_tensors import Scores
from sciu.purification import EpochIndex, Purifier, SharedPurifier
from sciu.purification.clip_state import Status

Labels = NDArray[np.int16]


def labels_to_train(dataset: Dataset, fold: int) -> Labels:
    """Return the label of every clip of the training split, -1 for the others."""
    labels = np.full(len(dataset), -1, np.int16)
    ids = dataset.ids("train", fold)
    labels[ids] = dataset.labels[ids]
    return labels


def cleaned_labels(run: RunFolder, dataset: Dataset, fold: int) -> Labels:
    """Return the labels that a finished run ended with: -1 for pruned clips, and wrong ones corrected.

    Clips that it held out keep their given labels.
    """
    card = run.require()
    held_out = np.intersect1d(card.held_out, dataset.ids("train", fold)).astype(np.int64)
    if card.settings.fold != fold:
        raise RunError(f"--labels-from must be a run of fold {fold}, but '{run.path}' is of fold {card.settings.fold}.")
    with Purifier.open(run.store, fingerprint=dataset.fingerprint, read_only=True) as purifier:
        if not _has_ended(run, card, purifier.epoch):
            raise RunError(
                f"--labels-from must be a run that has ended, but '{run.path}' is in epoch {purifier.epoch} of"
                f" {card.settings.epochs}. --resume it first."
            )
        states = purifier.states()  # with what users decided after the run's end
        labels: Labels = np.where(states.training, states.label, np.int16(-1))
    labels[held_out] = dataset.labels[held_out]
    labels[dataset.quarantined] = -1
    return labels


def _has_ended(run: RunFolder, card: RunCard, undecided: int) -> bool:
    """Return whether a run has ended, whose store is at an epoch that nothing is decided of yet."""
    if undecided > card.settings.epochs:
        return True
    history = read_history(run) if card.settings.patience else []
    return ending(history, card.settings) is not None and history[-1].epoch == undecided - 1


def labels_of_file(path: Path, dataset: Dataset, fold: int) -> Labels:
    """Return the labels in a file, such as an epoch's: int16 by clip id, -1 where a clip does not train.

    Quarantined clips get -1, whatever the file says.
    """
    try:
        labels: Labels = np.load(path, allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError) as error:
        what = "does not exist" if isinstance(error, FileNotFoundError) else "is not an array that numpy.save wrote"
        raise RunError(f"--labels-from must be a run or a .npy file of labels, but '{path}' {what}.") from None
    shape, classes = (len(dataset),), len(dataset.classes)
    if labels.dtype != np.int16 or labels.shape != shape:
        raise RunError(
            f"'{path}' must hold a label for each of {len(dataset)} clips, int16, but holds {labels.dtype} of shape"
            f" {labels.shape}. Is it of another dataset?"
        )
    if ((labels < -1) | (labels >= classes)).any():
        raise RunError(
            f"labels in '{path}' must be -1 to {classes - 1}, but are {labels.min()} to {labels.max()}. Fix the file."
        )
    labels[dataset.quarantined] = -1
    others = np.setdiff1d(np.flatnonzero(labels >= 0), dataset.ids("train", fold))
    if len(others):
        raise RunError(
            f"clips outside of the training split must be -1 in '{path}', but {len(others)} are not, clip {others[0]}"
            f" among them. Is it of another fold than {fold}?"
        )
    return labels


def publish_index(shared: SharedPurifier, epoch: int, folder: RunFolder) -> EpochIndex:
    """Publish an epoch's index and return it. Collective."""

    def publish(purifier: Purifier) -> EpochIndex:
        if purifier.epoch < epoch:
            raise RunError(
                f"store '{purifier.path}' must have reached epoch {epoch} like the checkpoint, but is at"
                f" {purifier.epoch}. Restore the store that belongs to it, or remove newer checkpoints."
            )
        index = purifier.index() if purifier.epoch == epoch else purifier.index_at(epoch)  # the open one is known
        index.write(folder.index)
        return index

    return shared.ask(publish)


def close_epoch(shared: SharedPurifier, state: RunState, scores: Scores, folder: RunFolder) -> EpochIndex:
    """Send this rank's scores to rank 0, decide, publish the next epoch's index and return it. Collective.

    A run that was killed between its checkpoint and this does it when it is resumed: nothing is decided twice.
    """
    shared.record(scores.ids, scores.weights, scores.probs)
    return shared.end_epoch(state.epoch, state.faults, publish=lambda index: index.write(folder.index))


def carry_quarantine(shared: SharedPurifier, dataset: Dataset) -> int:
    """Quarantine in the store what `sciu-data check` has quarantined since the run began; return how many. Collective.

    It takes effect from the next epoch on; in the current one the plan leaves these clips out.
    """

    def carry(purifier: Purifier) -> int:
        states = purifier.states()
        found = np.flatnonzero(states.ours & ~states.has(Status.QUARANTINED) & dataset.quarantined).tolist()
        purifier.quarantine_each({clip: dataset.clips.quarantine[clip] or "" for clip in found})
        return len(found)

    return shared.ask(carry)


def left_out_of(index: EpochIndex, dataset: Dataset) -> list[int]:
    """Return the clips of an index that its plan leaves out, because the dataset has them in quarantine."""
    return index.ids[dataset.quarantined[index.ids]].tolist()


def quarantine_digest(dataset: Dataset) -> str:
    """Return a digest of the dataset's quarantine, to compare between ranks."""
    return hashlib.sha256(np.packbits(dataset.quarantined).tobytes()).hexdigest()


def require_every_class(index: EpochIndex, dataset: Dataset, fold: int) -> None:
    """Raise if a class has no clips left: a network would unlearn it unnoticed."""
    given = np.where(dataset.splits(fold).where("train"), dataset.labels, np.int16(-1))
    trained = np.where(dataset.quarantined, np.int16(-1), index.labels)
    for k in emptied_classes(given, trained):
        raise TrainError(
            f"class '{dataset.classes[k]}' must have clips to train on, but none of its {(given == k).sum()} are left"
            f" in epoch {index.epoch}. Undo decisions with `sciu-purify undo RUN --epoch {index.epoch - 1}`, pin some"
            " clips, repair files and run `sciu-data check` and `sciu-purify release`, or start a run with a higher"
            " keep_per_class or correct_above."
        )


def emptied_classes(before: Labels, after: Labels) -> list[int]:
    """Return the classes that have clips before and none after."""
    return np.setdiff1d(before[before >= 0], after[after >= 0]).tolist()
