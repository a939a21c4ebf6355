"""A run's store as reviewers see it: which clips to look at, all about one of them, and their decisions."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sciu.pipeline.errors import OneLineError, first_line
from sciu.purification import Pin, Purifier, PurifierError
from sciu.purification.care.explain import reason
from sciu.purification.care.report import Report, status_text
from sciu.purification.clip_state import PINS
from sciu.tools.purify.common import open_run, store_folder
from sciu.tools.purify.places import Places
from sciu.tools.review.choosing import Kinds, Wanted, following, ordered, pairs_of
from sciu.tools.review.history import Histories

if TYPE_CHECKING:
    from sciu.pipeline.dataset import Dataset
    from sciu.purification.history import Entry

_MOST_PAIRS = 500  # a menu has no more entries


class NoClipError(OneLineError):
    """There is no such clip in the training set."""


class ChangedError(OneLineError):
    """What was to be undone is not the last that happened to the clip."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a person says of a clip."""

    action: str  # keep, drop, label, free
    label: int | None
    who: str
    why: str


class Desk:
    """All that reviewers ask and say. A store is not for several threads at once: one at a time is here."""

    def __init__(self, purifier: Purifier, places: Places, sealed: str = "") -> None:
        self.purifier = purifier
        self.places = places
        self.sealed = sealed  # why no decision can be stored; empty: it can
        self._lock = threading.Lock()
        self._histories = Histories(purifier)
        self._report: Report | None = None
        self._reviewers: dict[int, str] = {}  # of each clip that has a pin
        self._read()

    @property
    def dataset(self) -> Dataset | None:
        """The dataset, if it was found."""
        return self.places.dataset

    def _read(self) -> Report:
        """Return what is known now; evidence changes at an epoch's end only, states with every event."""
        known = self._histories.events
        with self.purifier.store.reading():
            ended, about = self._histories.read_on()
            if self._report is None or ended:
                self._report = Report.of(self.purifier)
            elif self._histories.events > known:
                self._report = replace(self._report, states=self.purifier.states())
        if self._histories.events > known:
            self._kinds = Kinds.of(self._report, self._histories)
            self._note_reviewers(self._report, about)
        return self._report

    def _note_reviewers(self, report: Report, clips: Iterable[int]) -> None:
        """Note whose pins some clips have now."""
        pinned = report.states.has(PINS)
        for clip in clips:
            self._reviewers.pop(clip, None)
            if pinned[clip]:
                event = self._histories.pin(clip, report.states)
                self._reviewers[clip] = event.who if event else ""

    # ---- asked

    def now(self) -> dict[str, int]:
        """Return how far the store is: how many events there are, and which epoch is open."""
        with self._lock:
            self._read()
            return {"events": self._histories.events, "epoch": self.purifier.epoch}

    def begins_with(self) -> dict[str, int]:
        """Return how many clips there are of each kind, and how many of the flagged ones people have decided about."""
        with self._lock:
            self._read()
            counts = {str(kind): int(mask.sum()) for kind, mask in self._kinds.masks.items()}
            flagged = self._kinds.masks["flagged"]
            return {**counts, "decided": sum(bool(flagged[clip]) for clip in self._reviewers)}

    def queue(self, wanted: Wanted, after: int | None, count: int) -> dict[str, Any]:
        """Return the next clips, and how far the work is."""
        with self._lock:
            report = self._read()
            clips = ordered(report, self._kinds, wanted)
            deciders = [self._reviewers[clip] for clip in clips.tolist() if clip in self._reviewers]
            return {
                "clips": following(clips, lambda clip: self._passes(clip, wanted), after, count),
                "total": len(clips),
                "decided": len(deciders),
                "mine": deciders.count(wanted.who),
                "kinds": {kind: int(mask.sum()) for kind, mask in self._kinds.masks.items()},
                "pairs": pairs_of(report, self._kinds, wanted.kind, _MOST_PAIRS),
            }

    def _passes(self, clip: int, wanted: Wanted) -> bool:
        """Return whether a clip is among those that a person wants to see again, or has yet to see."""
        decided, mine = clip in self._reviewers, self._reviewers.get(clip) == wanted.who
        return {"open": not decided, "mine": decided and mine, "others": decided and not mine, "any": True}[
            wanted.which
        ]

    def require(self, clip: int) -> None:
        """Raise unless a clip is one of the training set's."""
        if not 0 <= clip < len(self.purifier.given) or self.purifier.given[clip] < 0:
            raise NoClipError(f"clip must be one of the training set's, but is {clip}.")

    def clip(self, clip: int) -> dict[str, Any]:
        """Return all about a clip."""
        self.require(clip)
        with self._lock:
            return self._told(self._read(), clip)

    # ---- said

    def decide(self, clip: int, decision: Decision) -> dict[str, Any]:
        """Pin a clip, or free it; return all about it."""
        self.require(clip)
        with self._lock:
            self.purifier.review([Pin(clip=clip, **asdict(decision))])
            return self._told(self._read(), clip)

    def undo(self, clip: int, event: int, who: str) -> dict[str, Any]:
        """Undo the last change of a clip, if that is still this event; return all about the clip."""
        self.require(clip)
        with self._lock:
            self._read()
            last = self._histories[clip][-1:]
            if not last or last[0].event.number != event or last[0].event.kind != "pin":
                raise ChangedError(f"clip {clip} was changed by {_named(last)} since, so nothing was undone.")
            self.purifier.undo(clip=clip, who=who)
            return self._told(self._read(), clip)

    # ---- in words

    def _told(self, report: Report, clip: int) -> dict[str, Any]:
        states, entries = report.states, self._histories[clip]
        probs = report.probs_KN[:, clip]
        given, proposed = self._kinds.pair(clip, states.given)
        pin = self._histories.pin(clip, states)
        return {
            "clip": clip,
            "path": self.places.path(clip),
            "kind": self._kinds.kind_of(clip),
            "given": given,
            "label": int(states.label[clip]),
            "proposed": proposed if proposed >= 0 else None,
            "trains": bool(states.training[clip]),
            "status": status_text(int(states.status[clip])),
            "pin": None if pin is None else {"action": pin.action, "who": pin.who, "why": pin.why},
            "sentence": self._sentence(report, clip),
            "probabilities": None if np.isnan(probs).any() else [round(p, 4) for p in probs.tolist()],
            "measures": self._measures(report, clip),
            "history": [self._said(entry) for entry in entries],
            "undo": entries[-1].event.number if pin and entries[-1].event.kind == "pin" else None,
            "events": self._histories.events,
        }  # fmt: skip

    def _said(self, entry: Entry) -> dict[str, Any]:
        event = entry.event
        return {"epoch": event.epoch, "time": event.time, "what": reason(self.purifier, event, entry.row)}

    def _measures(self, report: Report, clip: int) -> dict[str, float]:
        """Return what the policy decides by, as of now; empty for a clip that was never scored."""
        if not report.evidence.scores[clip]:
            return {}
        shown = self.purifier.policy.grounds_shown.items()
        numbers = {name: getattr(report.grounds, field)[clip] for field, name in shown}
        numbers |= {"weight": report.evidence.weight[clip]}
        return {name: round(float(value), 4) for name, value in numbers.items() if np.isfinite(value)}

    def _sentence(self, report: Report, clip: int) -> str:
        """Say what the policy did last, or what the network says of a label that was left alone."""
        if self._kinds.masks["flagged"][clip] and (entry := self._histories.by_policy(clip)):
            return reason(self.purifier, entry.event, entry.row)
        names, given, predicted = self.purifier.class_names, report.states.given[clip], report.predicted[clip]
        if predicted < 0:
            return "never changed by the policy, and never scored"
        if predicted == given:
            return f"never doubted: the network, too, says {names[given]}"
        return f"left alone, but the network says {names[predicted]}"


def _named(last: list[Entry]) -> str:
    return (last[0].event.who or "the policy") if last else "nobody"


@contextmanager
def opened_desk(run: Path, data: Path | None) -> Iterator[Desk]:
    """Open a run's store for reviewers; one that cannot be written is opened to be looked at."""
    sealed = ""
    try:
        purifier = open_run(run)
    except (OSError, PurifierError) as error:
        purifier = Purifier.open(store_folder(run), read_only=True)  # raises what is wrong if it is more than that
        sealed = f"Nothing can be decided here, because the store cannot be written: {first_line(error)}"
    with purifier:
        yield Desk(purifier, Places.of(purifier, run, data), sealed)
