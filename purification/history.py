"""The history of a clip, and a policy's verdict as the rows that it changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciu.purification.clip_state import Action, ClipStates, Rows, Status
from sciu.purification.event import Event
from sciu.purification.rules.policy import Grounds, Verdict
from sciu.purification.store.evidence import Evidence


@dataclass(frozen=True)
class Entry:
    """One thing that happened to one clip."""

    event: Event
    row: np.void


def rows_of_verdict(verdict: Verdict, grounds: Grounds, evidence: Evidence, states: ClipStates) -> Rows:
    """Return a verdict as rows, ascending by clip."""
    parts = []
    for action, mask in (
        (Action.PRUNE, verdict.prune),
        (Action.RESTORE, verdict.restore),
        (Action.CORRECT, verdict.correct),
    ):
        clips = np.flatnonzero(mask)
        rows = states.rows(action, clips)
        score = grounds.sureness if action == Action.CORRECT else grounds.quality
        rows["confidence"], rows["delta"] = score[clips], grounds.margin[clips]
        if action == Action.PRUNE:
            rows["status_after"] |= np.uint8(Status.PRUNED)
        elif action == Action.RESTORE:
            rows["status_after"] &= np.uint8(~Status.PRUNED & 0xFF)
        else:
            rows["label_after"] = (evidence.predicted if verdict.label is None else verdict.label)[clips]
        parts.append(rows)
    rows = np.concatenate(parts)
    return rows[np.argsort(rows["clip"], kind="stable")]


def clips_of(rows: Rows, action: Action) -> NDArray[np.int64]:
    """Return the clips of the rows with an action."""
    return rows["clip"][rows["action"] == action].astype(np.int64)
