"""Go on for more epochs than a run was begun with.

The epochs that have begun keep the learning rates of the run that they were part of. From the next one on the schedule
is that of a run of the new length. The card says so before the first step is taken, so that a kill changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from sciu.pipeline.dataset.system.files import write_atomically
from sciu.pipeline.train.config.resolve import Resolved
from sciu.pipeline.train.config.settings import by_name
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.record.checkpoints import Checkpoints
from sciu.pipeline.train.record.run_card import Length, RunCard
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.record.run_state import RunState

FLAG = "--epochs"  # only this makes a run longer: a preset or a file may say something else without being asked to


def is_asked_for(resolved: Resolved, card: RunCard) -> bool:
    """Return whether a user wants more epochs than a run has; raise if they want fewer."""
    wanted, known = resolved.settings.epochs, card.settings.epochs
    if resolved.origins["epochs"] != FLAG:
        return False
    if wanted < known:
        raise RunError(
            f"{FLAG} must be at least {known} to resume this run, which cannot become shorter, but is {wanted}."
            " Leave it out."
        )
    return wanted > known


def prolonged(folder: RunFolder, card: RunCard, epochs: int, undecided: int) -> RunCard:
    """Return the card of a run that is to have so many epochs; if they are more than before, write it.

    `undecided` is the epoch that the store has reached: those before it have ended, whatever checkpoint is left.
    """
    if epochs <= card.settings.epochs:
        return card
    known = card.lengths or [Length(from_epoch=1, epochs=card.settings.epochs)]
    first = max(_first_not_begun(folder, card), undecided, known[-1].from_epoch)
    origins = {**dict.fromkeys(by_name(), "default"), **card.origins, "epochs": f"{FLAG}, from epoch {first} on"}
    lengths = [*known, Length(from_epoch=first, epochs=epochs)]
    written = folder.require()
    written = replace(written, settings=replace(written.settings, epochs=epochs), origins=origins, lengths=lengths)
    write_atomically(folder.settings, Resolved(written.settings, origins).toml().encode())
    folder.write(written)
    return replace(card, settings=written.settings, origins=origins, lengths=lengths)


def _first_not_begun(folder: RunFolder, card: RunCard) -> int:
    """Return the first epoch that no step was taken in, as of the newest checkpoint."""
    if (content := Checkpoints(folder.checkpoints).newest(card.run)) is None:
        return 1
    state = RunState.from_json(content["state"])
    return state.epoch + (state.under_way or state.measured is not None)


def remarks(card: RunCard) -> list[str]:
    """Return what is to be said of a run that became longer, of the last time if it did so before."""
    return [
        f"epochs: {each.epochs} instead of {before.epochs}; from epoch {each.from_epoch} on the learning rate is that"
        f" of a run of {each.epochs}"
        for before, each in [*pairwise(card.lengths)][-1:]
    ]
