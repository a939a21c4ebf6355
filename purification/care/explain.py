"""Every decision in a sentence."""

from __future__ import annotations

import numpy as np

from sciu.purification.clip_state import OUT, Action
from sciu.purification.event import Event
from sciu.purification.purifier import Purifier


def reason(purifier: Purifier, event: Event, row: np.void) -> str:
    """Say what happened to a clip and why."""
    after = purifier.class_names[row["label_after"]]
    said = ": ".join(part for part in (_by(event), event.why) if part)
    action = Action(row["action"])
    if action in (Action.PRUNE, Action.RESTORE, Action.CORRECT):
        return (_by_averages if purifier.policy.averages else _by_window)(purifier, event, row, action)
    sentences = {
        Action.PIN: f"pinned: {_pinned(event, after)}{said}",
        Action.UNPIN: f"pin taken off{said and ': '}{said}",
        Action.UNDO: f"undone: now {_where(row)} as {after}{said and ': '}{said}",
        Action.QUARANTINE: f"quarantined: {said or 'its file cannot be read'}",
        Action.RELEASE: f"released from quarantine{said and ': '}{said}",
    }
    return sentences[action]


def _by_window(purifier: Purifier, event: Event, row: np.void, action: Action) -> str:
    """Explain a decision by the last scores."""
    before, after = (purifier.class_names[row[name]] for name in ("label_before", "label_after"))
    score, margin, limits = float(row["confidence"]), float(row["delta"]), event.thresholds
    over = f"over {purifier.policy.window} epochs" if purifier.policy.window > 1 else "in this epoch"
    return {
        Action.PRUNE: f"pruned: score {score:.3f} {over} is not above {limits.get('prune_below', np.nan):.3f}",
        Action.RESTORE: f"restored: score {score:.3f} is above {limits.get('prune_below', np.nan):.3f} again",
        Action.CORRECT: f"relabelled {before} -> {after}: predicted {over} by {margin:.3f}, above {_limit(limits)}",
    }[action]


def _by_averages(purifier: Purifier, event: Event, row: np.void, action: Action) -> str:
    """Explain a decision by the running averages."""
    names, given = purifier.class_names, int(purifier.given[row["clip"]])
    before, after = int(row["label_before"]), int(row["label_after"])
    score, margin, limits = float(row["confidence"]), float(row["delta"]), event.thresholds
    information = f"its predictions carry information {score:.3f} (of 1)"
    if action == Action.PRUNE:
        usual = limits.get("usual_information", np.nan)
        return f"pruned: {information} after {event.epoch} epochs; clips that agree with their label carry {usual:.3f}"
    if action == Action.RESTORE:
        return f"restored: {information} now, not below {limits.get('prune_below', np.nan):.3f}"
    if after == given:
        return f"given label {names[after]} restored: no other class is probable enough any more"
    often = event.transition[after][given] if event.transition else np.nan
    return (
        f"relabelled {names[before]} -> {names[after]}: averaged over epochs {names[after]} is more probable than"
        f" {names[given]} by {margin:.2f}, and {often:.0%} of {names[after]} clips are labelled {names[given]};"
        f" right with probability {score:.2f}"
    )


def _by(event: Event) -> str:
    return f"by {event.who}" if event.who else ""


def _pinned(event: Event, label: str) -> str:
    what = {"keep": "stays", "drop": "leaves", "label": f"is {label}"}.get(event.action, "")
    return f"{what} " if event.who or event.why else what


def _where(row: np.void) -> str:
    return "out" if row["status_after"] & np.uint8(OUT) else "training"


def _limit(limits: dict[str, float]) -> str:
    value = limits.get("correct_above", limits.get("relabel_above", np.nan))
    return f"{value:.3f}"
