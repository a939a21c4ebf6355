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
from sciu.purification.errors import ChangedError
from sciu.purification.revision import BY_PEOPLE
from sciu.tools.purify.common import open_run, store_folder
from sciu.tools.purify.places import Places
from sciu.tools.review.choosing import Kinds, Wanted, following, ordered, pairs_of
from sciu.tools.review.history import Histories

if TYPE_CHECKING:
    from sciu.pipeline.dataset import Dataset
    from sciu.purification.history import Entry

_MOST_PAIRS = 500  # a menu has no more entries
_PATIENCE = 0.2  # seconds that who asks waits for the store, while a decision may wait for a training's epoch to end


class NoClipError(OneLineError):
    """There is no such clip in the training set."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a person says of a clip."""

    action: str  # keep, drop, label, free
    label: int | None
    who: str
    why: str
    seen: int  # how many events the page knew of


class Desk:
    """All that reviewers ask and say.

    A store is not for several threads at once, and a decision may wait for it: `_store` is held by who uses the store,
    `_lock` by who uses what is known of it. Who needs both takes `_store` first.
    """

    _report: Report
    _kinds: Kinds

    def __init__(self, purifier: Purifier, places: Places, sealed: str = "") -> None:
        self.purifier = purifier
        self.places = places
        self.sealed = sealed  # why no decision can be stored; empty: it can
        self._store, self._lock = threading.Lock(), threading.Lock()
        self._histories = Histories(purifier)
        self._ended, self._about = True, set[int]()  # what the report does not know yet: an epoch's end, decisions
        self._events = self._epoch = 0  # as of the report
        self._reviewers: dict[int, str] = {}  # of each clip that has a pin
        self._read()

    @property
    def dataset(self) -> Dataset | None:
        """The dataset, if it was found."""
        return self.places.dataset

    @contextmanager
    def _known(self) -> Iterator[Report]:
        """Return what is known now; while a decision waits for the store, what was known before."""
        free = self._store.acquire(timeout=_PATIENCE)
        try:
            with self._lock:
                yield self._read() if free else self._report
        finally:
            if free:
                self._store.release()

    def _read(self) -> Report:
        """Return what is known now; evidence changes at an epoch's end only, states with every event.

        A read that fails is made up for by the next.
        """
        with self.purifier.store.reading():
            for event, clips in self._histories.read_on():
                self._ended |= event.kind == "epoch"
                self._about.update(clips)
            if self._ended:
                report = Report.of(self.purifier)
            elif self._histories.events > self._events:
                report = replace(self._report, states=self.purifier.states())
            else:
                return self._report
            epoch = self.purifier.epoch
        self._kinds = Kinds.of(report, self._histories)
        self._note_reviewers(report, self._about)
        self._report, self._events, self._epoch = report, self._histories.events, epoch
        self._ended, self._about = False, set()
        return report

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
        with self._known():
            return {"events": self._events, "epoch": self._epoch}

    def begins_with(self) -> dict[str, int]:
        """Return how many clips there are of each kind, and how many of the flagged ones people have decided about."""
        with self._known():
            counts = {str(kind): int(mask.sum()) for kind, mask in self._kinds.masks.items()}
            flagged = self._kinds.masks["flagged"]
            return {**counts, "decided": sum(bool(flagged[clip]) for clip in self._reviewers)}

    def queue(self, wanted: Wanted, after: int | None, count: int) -> dict[str, Any]:
        """Return the next clips, and how far the work is."""
        with self._known() as report:
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
        with self._known() as report:
            return self._told(report, clip)

    # ---- said

    def decide(self, clip: int, decision: Decision) -> dict[str, Any]:
        """Pin a clip, or free it, unless others decided meanwhile; return all about it, and which event changed it."""
        self.require(clip)
        with self._store:
            self.purifier.review([Pin(clip=clip, **asdict(decision))])
            with self._lock:
                before, report = self._events, self._read()
                change = self._histories.change(clip)
                made = change and change.number >= before and change.who == decision.who
                return {**self._told(report, clip), "made": change.number if change and made else None}

    def undo(self, clip: int, event: int, who: str) -> dict[str, Any]:
        """Undo the last change of a clip, if that is this event, of a person; return all about the clip."""
        self.require(clip)
        with self._store:
            with self._lock:
                self._read()
                entries = [entry.event for entry in self._histories[clip] if entry.event.number == event]
            if not entries or entries[0].kind not in BY_PEOPLE:
                raise ChangedError(f"event {event} is no decision about clip {clip}, so nothing was undone.")
            self.purifier.undo(clip=clip, event=event, who=who)
            with self._lock:
                return self._told(self._read(), clip)

    # ---- in words

    def _told(self, report: Report, clip: int) -> dict[str, Any]:
        states, entries = report.states, self._histories[clip]
        probs = report.probs_KN[:, clip]
        given, proposed = self._kinds.pair(clip, states.given)
        pin, change = self._histories.pin(clip, states), self._histories.change(clip)
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
            "undo": change.number if pin and change and change.kind in BY_PEOPLE else None,
            "events": self._events,
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
