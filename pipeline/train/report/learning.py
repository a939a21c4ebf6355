"""Whether the network learns at all: what a run says when it still guesses, and when it has forgotten what it knew."""

from __future__ import annotations

from collections.abc import Sequence

from sciu.pipeline.train.record.epoch_record import EpochRecord

_PATIENCE = 5  # epochs in which any network that can be trained has left the accuracy of guessing
_NOTHING = 0.1  # of what there is to learn: a network that has learnt no more than this still guesses
_SOMETHING = 0.2  # what a network must have learnt before it can forget it
_FORGOTTEN = 0.5  # of the most that was learnt: a Transformer that diverged fell to .1 of it, 38 other trainings to .95
_REMEDIES = "In a new run a lower lr, clip_gradients=1, a longer lr_warmup or pretrained --weights may help."


def warning_of(history: Sequence[EpochRecord], lr: float) -> str | None:
    """Return what is to be said after the last epoch about how the network learns: once, when it begins to be so."""
    if _guesses(history) and not _guesses(history[:-1]):
        return (
            f"after {len(history)} epochs the network is hardly better than a guess: its training accuracy is"
            f" {history[-1].accuracy:.1%}, and always naming the largest class would reach"
            f" {_largest_share(history[-1]):.1%}. lr is {lr:g}. {_REMEDIES}"
        )
    if _has_forgotten(history) and not _has_forgotten(history[:-1]):
        best = max(history[:-1], key=lambda record: record.accuracy)
        return (
            f"the training has diverged: its accuracy is {history[-1].accuracy:.1%}, after {best.accuracy:.1%} in"
            f" epoch {best.epoch}. What is pruned and corrected by such a network is not to be trusted. lr is {lr:g}."
            f" {_REMEDIES}"
        )
    return None


def _guesses(history: Sequence[EpochRecord]) -> bool:
    return len(history) >= _PATIENCE and all(_learnt(record) <= _NOTHING for record in history[-_PATIENCE:])


def _has_forgotten(history: Sequence[EpochRecord]) -> bool:
    """Whether most of what had been learnt is lost."""
    most = max((_learnt(record) for record in history[:-1]), default=0.0)
    return most > _SOMETHING and _learnt(history[-1]) < _FORGOTTEN * most


def _learnt(record: EpochRecord) -> float:
    """Return how much of what there is to learn was learnt: 0 is always naming the largest class, 1 is every label."""
    share = _largest_share(record)
    return (record.accuracy - share) / (1 - share) if share < 1 else 1.0


def _largest_share(record: EpochRecord) -> float:
    """Return the share of the largest class among the clips that train after the epoch: about those that did in it."""
    rows = record.purify.classes.values() if record.purify else ()
    counts = [row.get("training", 0) for row in rows]
    return max(counts, default=0) / max(sum(counts), 1)
