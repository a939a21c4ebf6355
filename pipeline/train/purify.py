"""The trainer's side of the purifier: which clips an epoch has, and what its scores lead to."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.feed.plan.draws import Draw, Draws
from sciu.pipeline.train.errors import RunError, TrainError
from sciu.pipeline.train.run.run_folder import RunFolder
from sciu.pipeline.train.run.state import State
from sciu.pipeline.train.step.board import Scores
from sciu.purification import EpochIndex, Purifier, SharedPurifier

_ALL_EPOCHS = 0

Labels = NDArray[np.int16]


def labels_to_train(dataset: Dataset, fold: int) -> Labels:
    """Return the label of every clip of the training split, -1 for the others."""
    labels = np.full(len(dataset), -1, np.int16)
    ids = dataset.ids("train", fold)
    labels[ids] = dataset.labels[ids]
    return labels


def cleaned_labels(run: RunFolder, dataset: Dataset, fold: int) -> Labels:
    """Return the labels that a finished run believes in: pruned clips have none, wrong ones are corrected.

    What it held out it has no opinion about: those clips have the labels that they were given.
    """
    card = run.require()
    held_out = np.intersect1d(card["held_out"], dataset.ids("train", fold)).astype(np.int64)
    if card["settings"]["fold"] != fold:
        raise RunError(
            f"--labels-from must be a run of fold {fold}, but '{run.path}' is of fold {card['settings']['fold']}."
        )
    with Purifier.open(run.store, fingerprint=dataset.fingerprint, read_only=True) as purifier:
        if purifier.epoch <= card["settings"]["epochs"]:
            raise RunError(
                f"--labels-from must be a run that has ended, but '{run.path}' is in epoch {purifier.epoch} of"
                f" {card['settings']['epochs']}. --resume it first."
            )
        states = purifier.states()  # with what people decided after the run's end
        labels: Labels = np.where(states.training, states.label, np.int16(-1))
    labels[held_out] = dataset.labels[held_out]
    labels[dataset.quarantined] = -1
    return labels


def labels_of_file(path: Path, dataset: Dataset, fold: int) -> Labels:
    """Return the labels that a file gives, int16 by clip id, -1 where a clip does not train; an epoch's are such a one.

    Clips that are in quarantine have none, whatever the file says.
    """
    try:
        labels: Labels = np.load(path, allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError) as error:
        what = "is not there" if isinstance(error, FileNotFoundError) else "is no array that numpy.save wrote"
        raise RunError(f"--labels-from must be a run or a .npy file of labels, but '{path}' {what}.") from None
    shape, classes = (len(dataset),), len(dataset.classes)
    if labels.dtype != np.int16 or labels.shape != shape:
        raise RunError(
            f"'{path}' must hold a label for each of {len(dataset)} clips, int16, but holds {labels.dtype} of shape"
            f" {labels.shape}. Is it of another dataset?"
        )
    if ((labels < -1) | (labels >= classes)).any():
        raise RunError(
            f"labels in '{path}' must be -1 to {classes - 1}, but are {labels.min()} to {labels.max()}. Mend the file."
        )
    labels[dataset.quarantined] = -1
    others = np.setdiff1d(np.flatnonzero(labels >= 0), dataset.ids("train", fold))
    if len(others):
        raise RunError(
            f"clips outside of the training split must be -1 in '{path}', but {len(others)} are not, clip {others[0]}"
            f" among them. Is it of another fold than {fold}?"
        )
    return labels


def hold_out(labels: Labels, ids: NDArray[np.int64], share: float, seed: int) -> NDArray[np.int64]:
    """Take some of a split's clips out of the training, by a hash of their ids, whatever is believed of them."""
    chosen: NDArray[np.int64] = ids[Draws(seed, _ALL_EPOCHS, ids).uniform(Draw.HELD_OUT) < share]
    labels[chosen] = -1
    return chosen


def index_of(shared: SharedPurifier, epoch: int, folder: RunFolder) -> EpochIndex:
    """Return an epoch's index, published. Collective."""

    def find(purifier: Purifier) -> EpochIndex:
        if purifier.epoch < epoch:
            raise RunError(
                f"store '{purifier.path}' must have come to epoch {epoch} like the checkpoint, but is at"
                f" {purifier.epoch}. Bring back the store that belongs to it, or remove newer checkpoints."
            )
        index = purifier.index() if purifier.epoch == epoch else purifier.index_at(epoch)
        index.write(folder.index)
        return index

    return shared.ask(find)


def close_epoch(shared: SharedPurifier, state: State, scores: Scores, folder: RunFolder) -> EpochIndex:
    """Hand this rank's scores over, unless the store has them; return the next epoch's index. Collective.

    A run that was killed after its checkpoint comes here again: nothing is decided twice.
    """

    def quarantine(purifier: Purifier) -> EpochIndex:
        for why, clips in _by_reason(state.faults).items():
            purifier.quarantine(clips, why)
        return purifier.index()

    if shared.index().epoch == state.epoch:
        shared.ask(quarantine)
        shared.record(scores.ids, scores.weights, scores.probs)
        shared.end_epoch()
    return index_of(shared, state.epoch + 1, folder)


def _by_reason(faults: dict[int, str]) -> dict[str, list[int]]:
    reasons = defaultdict(list)
    for clip, why in faults.items():
        reasons[why].append(clip)
    return reasons


def require_every_class(index: EpochIndex, dataset: Dataset, fold: int) -> None:
    """Stop when nothing is left of a class: a network would unlearn it without a word."""
    given = labels_to_train(dataset, fold)
    had, has = (np.bincount(each[each >= 0], minlength=len(dataset.classes)) for each in (given, index.labels))
    for k in np.flatnonzero((had > 0) & (has == 0)).tolist():
        raise TrainError(
            f"class '{dataset.classes[k]}' must have clips to train on, but none of its {had[k]} are left in epoch"
            f" {index.epoch}. Take decisions back by `sciu-purify undo RUN --epoch {index.epoch - 1}`, pin some clips,"
            " or begin a run with a higher keep_per_class or correct_above."
        )
