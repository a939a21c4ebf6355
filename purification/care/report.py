"""The dataset's health: a table of all clips, counts per class, pairs of confused labels, the estimated noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.purification.care.explain import reason
from sciu.purification.clip_state import PINS, ClipStates, Status
from sciu.purification.purifier import Purifier
from sciu.purification.rules.policy import Grounds
from sciu.purification.store.evidence import Evidence


@dataclass(frozen=True)
class Report:
    """What is known about every clip, by clip id."""

    states: ClipStates
    evidence: Evidence
    grounds: Grounds  # what the policy would base a decision on
    probs_KN: NDArray[np.float32]  # mean stored probabilities; NaN where a clip was never scored
    first_epoch: NDArray[np.int32]  # in which the policy first changed the clip; 0: never
    last_event: NDArray[np.int64]  # that changed the clip; -1: none

    @classmethod
    def of(cls, purifier: Purifier) -> Report:
        """Gather it in one snapshot of the store."""
        first, last = np.zeros(purifier.clips, np.int32), np.full(purifier.clips, -1, np.int64)
        with purifier.store.reading():
            for event in purifier.events():
                if event.rows:
                    clips = purifier.rows(event.number)["clip"]
                    last[clips] = event.number
                    if event.kind == "epoch":
                        first[clips] = np.where(first[clips] == 0, event.epoch, first[clips])
            evidence, probs_KN = purifier.evidence(against_given=True), purifier.mean_probabilities()
            states = purifier.states()
            return cls(states, evidence, purifier.policy.grounds(evidence, states), probs_KN, first, last)

    @property
    def label_score(self) -> NDArray[np.float32]:
        """The mean probability of the given label: low where the label may be wrong. NaN where never scored."""
        return self.probs_KN[np.maximum(self.states.given, 0), np.arange(len(self.states))]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class, on the mean; -1 where never scored."""
        scored = np.isfinite(self.probs_KN[0])
        return np.where(scored, np.nan_to_num(self.probs_KN).argmax(axis=0), -1)

    def doubtful(self, clips: NDArray[np.int64], by: str) -> NDArray[np.int64]:
        """Sort clips, the most doubtful first and the unknown last; by `clip` or `epoch`, in that order."""
        scored = self.evidence.scores > 0
        values = {
            "clip": clips,
            "score": np.where(scored, self.grounds.quality, np.nan)[clips],
            "margin": np.where(scored, -self.grounds.margin, np.nan)[clips],
            "label-score": self.label_score[clips],
            "epoch": np.where(self.first_epoch > 0, self.first_epoch, np.nan)[clips],
        }
        return clips[np.argsort(values[by], kind="stable")]

    def chosen(self, what: str) -> NDArray[np.int64]:
        """Return the clips of a kind."""
        states = self.states
        masks = {
            "all": states.ours,
            "training": states.training,
            "pruned": states.has(Status.PRUNED),
            "corrected": states.training & (states.label != states.given),
            "pinned": states.has(PINS),
            "quarantined": states.has(Status.QUARANTINED),
        }
        return np.flatnonzero(masks[what])


@dataclass(frozen=True, kw_only=True)
class ClipRow:
    """What is known about a clip, in a readable form."""

    clip: int
    path: str
    given: str
    label: str
    predicted: str | None
    status: str
    grounds: dict[str, float | None]  # what the policy prunes and corrects by, as of now: `Policy.grounds_shown`
    weight: float | None
    label_score: float | None
    first_epoch: int | None  # in which the policy first changed it
    why: str  # the reason of its last change

    def to_json(self) -> dict[str, Any]:
        """Return it as a row of a table or of JSON, in which each of the grounds is a column."""
        columns: dict[str, Any] = {}
        for name, value in asdict(self).items():
            columns |= value if name == "grounds" else {name: value}
        return columns


def rows_of(report: Report, purifier: Purifier, clips: NDArray[np.int64]) -> list[ClipRow]:
    """Return a row for each clip."""
    states, evidence, names = report.states, report.evidence, purifier.class_names
    why = _reasons(report, purifier, clips)
    best = report.predicted
    scores = report.label_score
    return [
        ClipRow(
            clip=clip,
            path=purifier.lines.path(clip),
            given=names[states.given[clip]],
            label=names[states.label[clip]],
            predicted=names[best[clip]] if best[clip] >= 0 else None,
            status=status_text(int(states.status[clip])),
            grounds={
                name: _number(getattr(report.grounds, field)[clip]) if evidence.scores[clip] else None
                for field, name in purifier.policy.grounds_shown.items()
            },
            weight=_number(evidence.weight[clip]) if evidence.scores[clip] else None,
            label_score=_number(scores[clip]),
            first_epoch=int(report.first_epoch[clip]) or None,
            why=why.get(clip, ""),
        )
        for clip in clips.tolist()
    ]


def status_text(status: int) -> str:
    """Return the names of a clip's flags."""
    flags = [str(flag.name).lower().replace("_", " ") for flag in Status if status & flag]
    return ", ".join(flags) or "training"


def _reasons(report: Report, purifier: Purifier, clips: NDArray[np.int64]) -> dict[int, str]:
    found: dict[int, str] = {}
    events = purifier.events()
    for number in np.unique(report.last_event[clips]).tolist():
        if number < 0:
            continue
        rows = purifier.rows(number)
        wanted = clips[report.last_event[clips] == number]
        for row in rows[np.isin(rows["clip"], wanted)]:
            found[int(row["clip"])] = reason(purifier, events[number], row)
    return found


def _number(value: Any) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


@dataclass(frozen=True, kw_only=True)
class ClassCounts:
    """The clips of a class, counted by state."""

    name: str
    given: int
    training: int
    pruned: int
    corrected_away: int
    corrected_into: int
    quarantined: int

    def to_json(self) -> dict[str, Any]:
        """Return it as a row of a table or of JSON."""
        content = asdict(self)
        return {"class": content.pop("name"), **content}


@dataclass(frozen=True, kw_only=True)
class Health:
    """A dataset's health in numbers."""

    classes: list[ClassCounts]
    pairs: list[tuple[str, str, int]]  # given class, class now, clips; the most frequent first
    noise: list[list[float]] | None  # P(true class | given label), rows given
    worst: list[ClipRow]  # labels that the network doubts most

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "classes": [each.to_json() for each in self.classes],
            "pairs": [dict(zip(("given", "label", "clips"), pair, strict=True)) for pair in self.pairs],
            "noise": self.noise,
            "worst": [row.to_json() for row in self.worst],
        }


def health(report: Report, purifier: Purifier, worst: int = 20) -> Health:
    """Return the dataset's health in numbers."""
    states, names = report.states, purifier.class_names
    moved = states.training & (states.label != states.given)
    pairs, counts = np.unique(np.stack([states.given[moved], states.label[moved]]), axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable").tolist()
    open_questions = states.training & (states.label == states.given) & ~states.has(PINS)
    scores = np.where(open_questions, report.label_score, np.nan)
    ranked = np.argsort(scores, kind="stable")[: min(worst, int(np.isfinite(scores).sum()))]
    noise = noise_matrix(report)
    return Health(
        classes=classes_of(states, names),
        pairs=[(names[pairs[0, k]], names[pairs[1, k]], int(counts[k])) for k in order],
        noise=None if noise is None else np.round(noise, 4).tolist(),
        worst=rows_of(report, purifier, ranked),
    )


def classes_of(states: ClipStates, names: Sequence[str]) -> list[ClassCounts]:
    """Count each class's clips by state."""
    moved = states.training & (states.label != states.given)
    return [
        ClassCounts(
            name=name,
            given=int((states.given == k).sum()),
            training=int((states.training & (states.label == k)).sum()),
            pruned=int((states.has(Status.PRUNED) & (states.given == k)).sum()),
            corrected_away=int((moved & (states.given == k)).sum()),
            corrected_into=int((moved & (states.label == k)).sum()),
            quarantined=int((states.has(Status.QUARANTINED) & (states.given == k)).sum()),
        )
        for k, name in enumerate(names)
    ]


def noise_matrix(report: Report) -> NDArray[np.float64] | None:
    """Estimate P(true class | given label) by counting confident clips: rows given, columns true.

    A clip counts for the most probable of the classes whose probability reaches the mean over the clips of that class
    (confident learning, Northcutt et al., 2021), here on the scores of the training run itself, so the estimate is too
    low rather than too high.
    """
    scored = report.states.ours & np.isfinite(report.probs_KN[0])
    given, probs_KN = report.states.given[scored], report.probs_KN[:, scored]
    if not len(given):
        return None
    classes = len(probs_KN)
    usual = np.array([probs_KN[k, given == k].mean() if (given == k).any() else np.inf for k in range(classes)])
    confident = probs_KN >= usual[:, None]
    likely = np.where(confident, probs_KN, -1.0).argmax(axis=0)
    joint = np.zeros((classes, classes))
    np.add.at(joint, (given[confident.any(axis=0)], likely[confident.any(axis=0)]), 1)
    empty = joint.sum(axis=1) == 0
    joint[empty, empty] = 1
    shares: NDArray[np.float64] = joint / joint.sum(axis=1, keepdims=True)
    return shares
