"""What a run's purifier decided, as plain records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sciu.tools.purify.common import look_into
from sciu.tools.purify.places import Places
from sciu.tools.report.choosing import fairly, within
from sciu.tools.report.records import KINDS, ByPeople, Change, Clip, Decisions, Intervention, Kind, Measure

if TYPE_CHECKING:
    from sciu.purification import Purifier
    from sciu.purification.care.report import Report
    from sciu.purification.event import Event

_MOST_CLIPS = 20_000  # whose histories are read at all; the budget for text ends sooner
_BINS = 40
_SORTED_BY: tuple[tuple[Kind, str], ...] = (("pruned", "score"), ("corrected", "margin"))
_LIMITS = {"quality": ["prune_below"], "margin": ["correct_above", "relabel_above"]}
_LIMITS_OF_AVERAGES = {"quality": ["prune_below"], "sureness": ["correct_above"]}  # thresholds of a ground, by policy

Clips = NDArray[np.int64]


def read_decisions(run: Path, data: Path | None, text_budget: int) -> Decisions:
    """Read one snapshot of a run's store; clips are left out where their text would exceed the budget."""
    from sciu.purification.care.report import Report, health
    from sciu.purification.clip_state import count_states

    with look_into(run) as purifier:
        report, places, events = Report.of(purifier), Places.of(purifier, run, data), purifier.events()
        measured, dataset = health(report, purifier, worst=0), places.dataset
        people = _by_people(report, purifier, events)
        faults = {} if dataset is None else dataset.clips.quarantine.counts()
        return Decisions(
            epoch=purifier.epoch,
            counts={**count_states(report.states), "people": len(people)},
            classes=measured.classes,
            pairs=measured.pairs,
            measures=_measures(report, purifier, events),
            clips=_clips(report, purifier, places, events, people, text_budget),
            spared=[(event.epoch, name, count) for event in events for name, count in event.spared.items()],
            interventions=_interventions(events),
            remarks=purifier.policy.remarks(),
            faults={reason: count for reason, count in faults.items() if count},
            media="" if dataset is None else str(dataset.media),
        )


# ---- the clips


def _clips(
    report: Report, purifier: Purifier, places: Places, events: Sequence[Event], people: Mapping[int, ByPeople],
    text_budget: int,
) -> list[Clip]:  # fmt: skip
    """Return the clips to show: from each pair of classes the clearest decisions first, of people the last ones."""
    kinds: dict[Kind, Clips] = {kind: report.doubtful(report.chosen(kind), by) for kind, by in _SORTED_BY}
    kinds["people"] = np.array(sorted(people, key=lambda clip: people[clip].time, reverse=True), np.int64)
    decided = np.concatenate([kinds[kind] for kind in KINDS])
    kind_of = np.repeat(np.arange(len(KINDS)), [len(kinds[kind]) for kind in KINDS])
    pairs = zip(kind_of.tolist(), report.states.given[decided], report.states.label[decided], strict=True)
    order = np.array(fairly([*pairs])[:_MOST_CLIPS], np.int64)
    histories = _histories(purifier, decided[order], events)
    rows = places.rows(report, decided[order])
    found = [
        Clip(
            kind=KINDS[kind], row=row, history=histories[row.clip],
            people=people[row.clip] if KINDS[kind] == "people" else None,
        )
        for kind, row in zip(kind_of[order].tolist(), rows, strict=True)
    ]  # fmt: skip
    return found[: within(text_budget, map(_text_size, found))]


def _text_size(clip: Clip) -> int:
    """Return about how many bytes a clip takes in the page, less its preview."""
    said = "" if clip.people is None else "".join(astuple(clip.people))
    told = sum(16 + len(change.what.encode()) for change in clip.history)
    return 150 + len(clip.row.path.encode()) + len(said.encode()) + told


def _histories(purifier: Purifier, clips: Clips, events: Sequence[Event]) -> dict[int, list[Change]]:
    """Return all that happened to some clips, in one pass through the history."""
    from sciu.purification.care.explain import reason

    wanted = np.zeros(purifier.clips, np.bool_)
    wanted[clips] = True
    found: dict[int, list[Change]] = {clip: [] for clip in clips.tolist()}
    for event in events:
        if event.rows and len(clips):
            rows = purifier.rows(event.number)
            for row in rows[wanted[rows["clip"]]]:
                change = Change(epoch=event.epoch, time=event.time, what=reason(purifier, event, row))
                found[int(row["clip"])].append(change)
    return found


# ---- what people decided


def _by_people(report: Report, purifier: Purifier, events: Sequence[Event]) -> dict[int, ByPeople]:
    """Return by clip the decisions of people that stand: pins in effect, and changes of the policy that were undone."""
    from sciu.purification.clip_state import PINS, Status
    from sciu.purification.revision import BY_PEOPLE

    label, pruned = report.states.given.copy(), np.zeros(purifier.clips, np.bool_)  # as the policy last had it
    found: dict[int, ByPeople] = {}
    for event in events:
        if not event.rows or event.kind not in ("epoch", *BY_PEOPLE):
            continue
        rows = purifier.rows(event.number)
        if event.kind == "epoch":
            label[rows["clip"]] = rows["label_after"]
            pruned[rows["clip"]] = rows["status_after"] & np.uint8(Status.PRUNED) != 0
            continue
        for row in rows:
            clip = int(row["clip"])
            found.pop(clip, None)
            unpinned = int(row["status_before"]) & int(PINS) != 0  # a pin that was freed or undone is no decision
            if row["status_after"] & np.uint8(PINS) or (event.kind == "undo" and not unpinned):
                changes = ["pruned"] if pruned[clip] else []
                if label[clip] != report.states.given[clip]:
                    changes.append(f"corrected to {purifier.class_names[label[clip]]}")
                found[clip] = ByPeople(
                    who=event.who, time=event.time, proposed=", ".join(changes) or "no change",
                    decided=_decided(row, purifier.class_names),
                )  # fmt: skip
    return found


def _decided(row: np.void, names: Sequence[str]) -> str:
    """Say what a person decided, by the state that came of it: an undo may have brought an earlier pin back."""
    from sciu.purification.clip_state import Status

    if row["status_after"] & np.uint8(Status.PIN_LABEL):
        return f"label {names[row['label_after']]}"
    if row["status_after"] & np.uint8(Status.PIN_DROP):
        return "drop"
    return "keep" if row["status_after"] & np.uint8(Status.PIN_KEEP) else "undo"


# ---- the distributions


def _measures(report: Report, purifier: Purifier, events: Sequence[Event]) -> list[Measure]:
    """Return the distribution of weights and of each of the policy's grounds, with the last decision's thresholds."""
    from sciu.purification.clip_state import Status

    states, policy = report.states, purifier.policy
    decided = {
        "unchanged": states.training & (states.label == states.given),
        "corrected": states.training & (states.label != states.given),
        "pruned": states.ours & states.has(Status.PRUNED),
    }
    limits = {name: value for event in events for name, value in event.thresholds.items()}
    used = _LIMITS_OF_AVERAGES if policy.averages else _LIMITS
    numbers = {"weight": report.evidence.weight}
    numbers |= {name: getattr(report.grounds, field) for field, name in policy.grounds_shown.items()}
    drawn = {name: used.get(field, []) for field, name in policy.grounds_shown.items()}
    found = []
    for name, values in numbers.items():
        known = (report.evidence.scores > 0) & np.isfinite(values)
        if np.unique(values[known]).size > 1:  # a constant has no distribution
            drawn_limits = {limit: limits[limit] for limit in drawn.get(name, []) if limit in limits}
            parts = {what: values[mask & known] for what, mask in decided.items()}
            found.append(measure_of(name, parts, drawn_limits))
    return found


def measure_of(name: str, parts: dict[str, NDArray[np.float64]], limits: dict[str, float]) -> Measure:
    """Count values in bins that all parts share."""
    every = np.concatenate([*parts.values()]) if parts else np.empty(0)
    edges = np.histogram_bin_edges(every, _BINS)
    counts = {what: np.histogram(values, edges)[0].tolist() for what, values in parts.items()}
    return Measure(name=name, edges=edges.tolist(), counts=counts, limits=limits)


# ---- what was not the policy


def _interventions(events: Sequence[Event]) -> list[Intervention]:
    """Return what people changed and what was quarantined, decisions of one kind and reason added up."""
    kinds = ("pin", "undo", "quarantine", "release")
    total: Counter[Intervention] = Counter()
    for event in events:
        if event.kind in kinds:
            what = f"pin: {event.action}" if event.kind == "pin" else event.kind
            total[Intervention(epoch=event.epoch, what=what, who=event.who, why=event.why, clips=0)] += event.rows
    return sorted((replace(each, clips=clips) for each, clips in total.items()), key=astuple)
