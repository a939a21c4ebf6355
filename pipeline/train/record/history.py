"""The epochs of a run that have ended, as its log keeps them, and why the run itself has ended."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sciu.pipeline.errors import first_line
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.record.epoch_record import EpochRecord
from sciu.pipeline.train.record.run_folder import RunFolder

EPOCHS, PATIENCE = "epochs", "patience"
"""All epochs were trained, or the best one has been the best for as many evaluations as `patience` allows."""


def read_history(run: RunFolder) -> list[EpochRecord]:
    """Return the records in a run's log; none if no epoch has ended yet."""
    try:
        return [EpochRecord.from_json(json.loads(line)) for line in run.log.read_text("utf-8").splitlines()]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(
            f"'{run.log}' is damaged: {first_line(error)}. Its content is in the last checkpoint, too: `sciu-train"
            " --resume` writes it again when an epoch ends."
        ) from error


def ending(history: Sequence[EpochRecord], settings: Settings) -> str | None:
    """Return why a run with these epochs has ended, None if it has not."""
    if history and history[-1].epoch >= settings.epochs:
        return EPOCHS
    return PATIENCE if settings.patience and waited(history) >= settings.patience else None


def waited(history: Sequence[EpochRecord]) -> int:
    """Return how many evaluations there were since the best one, on the clips that choose the best epoch."""
    scores = [next(iter(record.evaluated.values())).war for record in history if record.evaluated]
    return len(scores) - 1 - scores.index(max(scores)) if scores else 0
