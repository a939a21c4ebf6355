"""What people change is written as rows that touch what they said and nothing else, and is taken back the same way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciu.purification import Keep, Pin, PolicyError, Purifier, PurifierError
from sciu.purification.clip_state import PINS, Action, ClipStates, Rows, Status
from sciu.purification.errors import ChangedError
from sciu.purification.event import Event
from sciu.purification.revision import PinAction, check_clips, rows_of_pin, rows_of_quarantine, rows_of_undo

CLASSES = 3
STATUS = st.integers(0, 31)  # all sets of flags
PIN_OF: dict[PinAction, Status] = {
    "keep": Status.PIN_KEEP, "drop": Status.PIN_DROP, "label": Status.PIN_LABEL, "free": Status(0),
}  # fmt: skip


def states_of(*status: int, given: Sequence[int] | None = None) -> ClipStates:
    states = ClipStates.begin(np.array([1] * len(status) if given is None else given, np.int16))
    states.status[:] = status
    return states


def changed(states: ClipStates, rows: Rows) -> ClipStates:
    after = states.copy()
    after.apply(rows)
    return after


# ---- pins


@given(st.sampled_from([*PIN_OF]), STATUS)
def test_a_pin_replaces_the_one_before_and_leaves_all_else(action: PinAction, status: int) -> None:
    states = states_of(0, status, 0)
    rows = rows_of_pin(Pin(clip=1, action=action, label=2 if action == "label" else None), states, CLASSES)
    after = changed(states, rows)
    assert rows["action"].tolist() == [Action.UNPIN if action == "free" else Action.PIN]
    assert after.status[1] & PINS == PIN_OF[action]
    assert after.has(Status.QUARANTINED)[1] == states.has(Status.QUARANTINED)[1]
    stays = action in ("keep", "label")
    assert after.has(Status.PRUNED)[1] == (states.has(Status.PRUNED)[1] and not stays)
    assert after.label.tolist() == [1, 2 if action == "label" else 1, 1]
    assert after.status[[0, 2]].tolist() == [0, 0]


def test_what_measured_nothing_says_so() -> None:
    rows = rows_of_pin(Pin(clip=0, action="drop"), states_of(0), CLASSES)
    assert np.isnan(rows["confidence"]).all()
    assert np.isnan(rows["delta"]).all()


@pytest.mark.parametrize(
    ("pin", "told"),
    [
        (Pin(clip=0, action="loose"), "loose"),  # type: ignore[arg-type]
        (Pin(clip=0, action="label"), "a label belongs to"),
        (Pin(clip=0, action="keep", label=0), "a label belongs to"),
        (Pin(clip=0, action="label", label=CLASSES), "0 to 2, but is 3"),
        (Pin(clip=0, action="label", label=-1), "0 to 2, but is -1"),
        (Pin(clip=0, action="label", label=1.5), "whole number"),  # type: ignore[arg-type]
    ],
)
def test_pins_that_make_no_sense_are_refused(pin: Pin, told: str) -> None:
    with pytest.raises(PolicyError, match=told):
        rows_of_pin(pin, states_of(0), CLASSES)


@pytest.mark.parametrize(("clip", "told"), [(3, "does not exist"), (-1, "does not exist"), (1, "not in the training")])
def test_clips_that_there_are_not_are_told_from_those_of_another_split(clip: int, told: str) -> None:
    states = states_of(0, 0, 0, given=[0, -1, 2])
    check_clips([0, 2, np.int64(2)], states)
    with pytest.raises(PurifierError, match=told):
        check_clips([0, clip], states)


def test_a_clip_is_a_whole_number() -> None:
    with pytest.raises(PolicyError, match="whole number"):
        check_clips([0.0], states_of(0))  # type: ignore[list-item]


# ---- quarantine


@given(st.lists(STATUS, min_size=1, max_size=8), st.data(), st.booleans())
def test_quarantine_is_for_those_that_are_not_there_yet(status: list[int], data: st.DataObject, into: bool) -> None:
    states = states_of(*status)
    clips = data.draw(st.lists(st.integers(0, len(status) - 1)))
    rows = rows_of_quarantine(clips, states, into=into)
    moving = {clip for clip in clips if bool(status[clip] & Status.QUARANTINED) != into}
    assert rows["clip"].tolist() == sorted(moving)
    assert set(rows["action"].tolist()) <= {Action.QUARANTINE if into else Action.RELEASE}
    after = changed(states, rows)
    assert (after.has(Status.QUARANTINED)[clips] == into).all()
    others = np.setdiff1d(np.arange(len(status)), clips)
    assert np.array_equal(after.status[others], states.status[others])
    flags = np.uint8(~Status.QUARANTINED & 0xFF)
    assert np.array_equal(after.status & flags, states.status & flags), "and no other flag is touched"


# ---- undo


@pytest.fixture
def purifier(tmp_path: Path) -> Iterator[Purifier]:
    with Purifier.create(tmp_path, labels=[0, 1, 2, -1], num_classes=CLASSES, policy=Keep(window=1)) as purifier:
        yield purifier


def undone(purifier: Purifier, clip: int | None = None, epoch: int | None = None) -> Rows:
    """What would be taken back."""
    with purifier.store.reading() as transaction:
        return rows_of_undo(transaction, purifier.states(), clip, epoch)


def end_epoch(purifier: Purifier) -> None:
    purifier.record([0, 1], np.ones(2), np.eye(CLASSES)[[0, 1]])
    purifier.end_epoch()


def test_the_last_change_of_a_clip_is_taken_back_whatever_happened_to_others(purifier: Purifier) -> None:
    purifier.pin(1, "label", label=2)
    purifier.pin(1, "drop")
    purifier.pin(0, "keep")
    rows = undone(purifier, clip=1)
    assert rows["clip"].tolist() == [1]
    assert rows["action"].tolist() == [Action.UNDO]
    assert rows["status_after"].tolist() == [Status.PIN_LABEL]
    assert rows["label_after"].tolist() == [2]


def test_a_change_that_changed_nothing_is_passed_over(purifier: Purifier) -> None:
    purifier.pin(1, "drop")
    purifier.pin(1, "drop")
    assert undone(purifier, clip=1)["status_after"].tolist() == [0]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(["keep", "drop", "free", "quarantine", "release", "undo"]), max_size=12))
def test_undoing_is_a_stack(steps: list[str]) -> None:
    """Each undo takes back the last change that was not undone yet."""
    with TemporaryDirectory() as folder, Purifier.create(
        folder, labels=[0, 1], num_classes=CLASSES, policy=Keep(window=1)
    ) as purifier:  # fmt: skip
        before = [0]
        for step in steps:
            if step != "undo":
                change(purifier, step)
                if purifier.states().status[1] != before[-1]:
                    before.append(int(purifier.states().status[1]))
            elif len(before) > 1:
                purifier.undo(clip=1)
                before.pop()
            else:
                with pytest.raises(PurifierError, match="nothing to undo"):
                    purifier.undo(clip=1)
            assert purifier.states().status.tolist() == [0, before[-1]]


def change(purifier: Purifier, step: str) -> None:
    if step == "quarantine":
        purifier.quarantine([1], "green")
    elif step == "release":
        purifier.release([1])
    else:
        purifier.pin(1, step)  # type: ignore[arg-type] # one of its actions


def test_a_change_that_an_earlier_version_made_again_by_undoing_its_undo_is_in_effect(purifier: Purifier) -> None:
    purifier.pin(1, "keep")
    purifier.undo(clip=1)
    with purifier._changing() as (transaction, states):
        rows = states.rows(Action.UNDO, np.array([1]))
        rows["status_after"] = Status.PIN_KEEP
        purifier._happened(transaction, states, rows, Event.now("undo"))
    assert undone(purifier, clip=1)["status_after"].tolist() == [0]


def test_without_an_epoch_it_is_the_last_event_that_changed_anything(purifier: Purifier) -> None:
    """Of all its clips at once."""
    purifier.pin(0, "drop")
    purifier.quarantine([1, 2], "gone")
    end_epoch(purifier)
    assert undone(purifier, clip=2)["clip"].tolist() == [2]
    with purifier.store.reading() as transaction, pytest.raises(PolicyError, match="got neither"):
        rows_of_undo(transaction, purifier.states(), None, None)


def test_nothing_to_undo_is_told(purifier: Purifier) -> None:
    purifier.pin(1, "free")  # it never had a pin
    end_epoch(purifier)
    for clip, epoch, told in ((1, None, "clip 1 has no change"), (None, 1, "epoch 1 has no change")):
        with pytest.raises(PurifierError, match=told):
            undone(purifier, clip, epoch)


@pytest.mark.parametrize("epoch", [0, -1, 2])
def test_only_an_epoch_that_has_ended_can_be_undone(purifier: Purifier, epoch: int) -> None:
    end_epoch(purifier)
    with pytest.raises(PurifierError, match=f"epoch {epoch} must have ended"):
        undone(purifier, epoch=epoch)


@pytest.mark.parametrize(("clip", "told"), [(4, "does not exist"), (3, "not in the training")])
def test_a_clip_that_never_trained_has_nothing_to_undo(purifier: Purifier, clip: int, told: str) -> None:
    with pytest.raises(PurifierError, match=told):
        undone(purifier, clip=clip)


# ---- what was seen


def test_an_undo_that_names_an_event_takes_back_that_one_or_nothing(purifier: Purifier) -> None:
    purifier.pin(1, "drop", who="anna")
    purifier.pin(1, "drop", who="bob")  # changes nothing
    before = purifier.states().status.tolist()
    for event, told in ((2, "event 2 changed nothing of clip 1"), (0, "was changed by anna since")):
        with pytest.raises(ChangedError, match=told):
            purifier.undo(clip=1, event=event, who="bob")
    assert purifier.states().status.tolist() == before
    assert purifier.undo(clip=1, event=1).tolist() == [1]
    with pytest.raises(ChangedError, match="still in effect"):
        purifier.undo(clip=1, event=1)


def test_a_decision_about_a_clip_that_another_person_has_decided_since_is_refused(purifier: Purifier) -> None:
    purifier.pin(0, "drop", who="anna")
    seen = len(purifier.events())
    purifier.pin(1, "drop", who="anna")
    for pin in (
        Pin(clip=1, action="drop", who="anna", seen=seen),
        Pin(clip=0, action="keep", who="bob", seen=seen),
        Pin(clip=1, action="drop", who="bob", seen=seen + 2),
        Pin(clip=1, action="drop", who="carl"),  # who does not say what he saw
    ):
        purifier.review([pin])
    end_epoch(purifier)  # the policy decides nothing for people
    events = len(purifier.events())
    with pytest.raises(ChangedError, match="carl has decided about clip 1 since it was shown"):
        purifier.review([Pin(clip=0, action="drop", who="bob"), Pin(clip=1, action="keep", who="bob", seen=seen)])
    assert len(purifier.events()) == events
    purifier.undo(clip=0, who="anna")
    with pytest.raises(ChangedError, match="anna has decided about clip 0"):
        purifier.review([Pin(clip=0, action="drop", who="bob", seen=events)])
