"""Events come back from JSON as they were, also those that an earlier or a later version wrote."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciu.purification.event import Event, Kind

NAMES = st.text(max_size=5)
NUMBERS = st.floats(allow_nan=False)
EVENTS = st.builds(
    Event,
    kind=st.sampled_from(get_args(Kind)),
    time=st.just("2026-01-02T03:04:05+00:00"),
    number=st.integers(-1, 10**9),
    rows=st.integers(0, 10**9),
    epoch=st.integers(0, 10**6),
    scored=st.integers(0, 10**9),
    thresholds=st.dictionaries(NAMES, NUMBERS, max_size=3),
    spared=st.dictionaries(NAMES, st.integers(0, 100), max_size=3),
    transition=st.none() | st.lists(st.lists(NUMBERS, min_size=1, max_size=2), min_size=1, max_size=2),
    action=st.sampled_from(["", "keep", "drop", "label", "free"]),
    undone_epoch=st.none() | st.integers(1, 10**6),
    who=NAMES,
    why=NAMES,
)


@given(EVENTS)
def test_there_and_back(event: Event) -> None:
    """Through text, as the store keeps it."""
    assert Event.from_json(json.loads(json.dumps(event.to_json()))) == event


@given(EVENTS, st.dictionaries(st.text(min_size=20), st.none() | st.integers() | st.lists(st.integers())))
def test_what_a_later_version_adds_is_ignored(event: Event, added: dict[str, Any]) -> None:
    assert Event.from_json({**event.to_json(), **added}) == event


@pytest.mark.parametrize("kind", get_args(Kind))
def test_what_an_earlier_version_did_not_write_has_its_default(kind: Kind) -> None:
    event = Event.from_json({"kind": kind, "time": "2026-01-02T03:04:05+00:00"})
    assert event == Event(kind=kind, time="2026-01-02T03:04:05+00:00")
    assert (event.number, event.rows, event.thresholds, event.transition, event.undone_epoch) == (-1, 0, {}, None, None)


def test_null_is_what_is_not_there() -> None:
    event = Event(kind="undo", time="now", undone_epoch=3)
    assert Event.from_json({**event.to_json(), "transition": None, "who": None, "thresholds": None}) == event


def test_what_does_not_apply_is_left_out() -> None:
    pin = Event(kind="pin", time="now", epoch=3, action="drop", who="anna").stored_as(7, 1)
    assert pin.to_json() == {
        "kind": "pin", "time": "now", "event": 7, "rows": 1, "epoch": 3, "action": "drop", "who": "anna",
    }  # fmt: skip


def test_the_end_of_an_epoch_tells_its_thresholds_even_if_there_are_none() -> None:
    told = Event(kind="epoch", time="now", epoch=2, scored=9).stored_as(1, 0).to_json()
    assert told == {
        "kind": "epoch", "time": "now", "event": 1, "rows": 0, "epoch": 2, "scored": 9, "thresholds": {}, "spared": {},
    }  # fmt: skip


def test_an_event_has_its_place_once_it_is_stored_and_not_before() -> None:
    event = Event.now("epoch", epoch=2, scored=9)
    stored = event.stored_as(4, 11)
    assert (event.number, event.rows) == (-1, 0)
    assert (stored.number, stored.rows, stored.epoch, stored.scored, stored.time) == (4, 11, 2, 9, event.time)


def test_now_is_a_whole_second_in_utc() -> None:
    time = datetime.fromisoformat(Event.now("create").time)
    assert (time.utcoffset(), time.microsecond) == (timedelta(0), 0)
