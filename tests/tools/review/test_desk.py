"""Reviewers see every decision with its reasons; what they say is in the store at once, with their name, and undone."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import noisy_clips
import pytest
from helpers import Answer
from invented_run import EPOCHS, NASTY, invented_run
from noisy_clips import CLIPS, GIVEN, NAMES, begin, one_epoch
from reviewing import Page, reviewed

from sciu.purification import Purifier, PurifierError
from sciu.purification.clip_state import Status
from sciu.purification.store import layout
from sciu.tools.review.desk import Decision, opened_desk

Sciu = Callable[..., Answer]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return invented_run(tmp_path / "run")


def clips_of(sciu: Sciu, run: Path, what: str, sort: str = "label-score") -> list[int]:
    listed = sciu("purify", "list", run, "--what", what, "--sort", sort, "--limit", 999, "--json").json["clips"]
    return [row["clip"] for row in listed]


def every(page: Page, **wanted: object) -> list[int]:
    """Go through a queue as the page does: one clip after the other."""
    found: list[int] = []
    while clips := page.queue(**wanted, **({"after": found[-1]} if found else {}), count=7)["clips"]:
        found += clips
    return found


# ---- which clips


def test_queues_are_the_lists_of_sciu_purify(sciu: Sciu, run: Path) -> None:
    sorts, kinds = ("label-score", "score", "margin", "clip"), ("pruned", "corrected", "all")
    listed = {(kind, sort): clips_of(sciu, run, kind, sort) for kind in kinds for sort in sorts}
    with reviewed(run) as page:
        assert {(kind, sort): every(page, kind=kind, order=sort) for kind, sort in listed} == listed
        flagged = every(page, kind="flagged", order="clip")
        assert flagged == sorted(listed["pruned", "clip"] + listed["corrected", "clip"])
        counts = page.queue()["kinds"]
    assert counts["flagged"] == len(flagged) == counts["pruned"] + counts["corrected"]
    assert (counts["all"], counts["pinned"]) == (CLIPS, 0)


def test_doubted_clips_are_those_that_the_network_contradicts_and_nobody_changed(sciu: Sciu, tmp_path: Path) -> None:
    run = invented_run(tmp_path / "run", epochs=2)  # the policy has not decided yet
    sciu("purify", "quarantine", run, 0)
    rows = [sciu("purify", "show", run, clip, "--json").json for clip in range(CLIPS)]
    left = [row for row in rows if row["given"] == row["label"] and row["status"] == "training"]
    contradicted = [row for row in left if row["predicted"] != row["given"]]
    assert contradicted
    with reviewed(run) as page:
        assert every(page, kind="doubted", order="clip") == [row["clip"] for row in contradicted]
        for row in contradicted:
            assert page.get(f"/clips/{row['clip']}")["proposed"] == NAMES.index(row["predicted"])


def test_by_pair_the_most_frequent_pair_comes_first_and_can_be_chosen(run: Path) -> None:
    with reviewed(run) as page:
        pairs = page.queue()["pairs"]
        assert [count for *_, count in pairs] == sorted((count for *_, count in pairs), reverse=True)
        told = [page.get(f"/clips/{clip}") for clip in every(page, order="pair")]
        found = [(each["given"], -1 if each["proposed"] is None else each["proposed"]) for each in told]
        assert found == [(given, label) for given, label, count in pairs for _ in range(count)]
        given, label, count = pairs[1]
        chosen = page.queue(pair=f"{given},{label}", count=50)
        assert chosen["total"] == len(chosen["clips"]) == count


def test_a_clip_is_told_as_sciu_purify_tells_it(sciu: Sciu, run: Path) -> None:
    sciu("purify", "pin", run, 7, "--label", NAMES[1], "--who", "ben", "--why", "seen it")
    flagged = clips_of(sciu, run, "pruned")[:3] + clips_of(sciu, run, "corrected")[:3]
    rows = [sciu("purify", "show", run, clip, "--json").json for clip in (*flagged, 7)]
    with reviewed(run) as page:
        for row in rows:
            told = page.get(f"/clips/{row['clip']}")
            assert {name: told[name] for name in ("path", "status", "history")}.items() <= row.items()
            assert (NAMES[told["given"]], NAMES[told["label"]]) == (row["given"], row["label"])
            assert told["measures"] == {name: row[name] for name in ("score", "margin", "weight")}
            assert told["probabilities"][told["given"]] == row["label_score"]
            if row["clip"] in flagged:
                assert told["sentence"] == told["history"][-1]["what"]
        assert page.get("/clips/7")["pin"] == {"action": "label", "who": "ben", "why": "seen it"}


def test_a_store_of_another_loop_is_reviewed_without_its_clips(sciu: Sciu, tmp_path: Path) -> None:
    with begin(tmp_path / "store") as purifier:
        one_epoch(purifier)
    with reviewed(tmp_path / "store") as page:
        (clip, *_) = page.queue(kind="doubted")["clips"]
        told = page.get(f"/clips/{clip}")
        assert told["sentence"].startswith("left alone, but the network says ")
        video = page.send("GET", f"/clips/{clip}/video")
        assert video.status == 204
        assert "--data%20DIR" in video.headers["Sciu-Note"]
        page.pin(clip, "drop")
    assert clips_of(sciu, tmp_path / "store", "pinned") == [clip]


def test_before_the_first_epoch_there_is_all_to_see_and_nothing_to_doubt(tmp_path: Path) -> None:
    begin(tmp_path / "store").close()
    with reviewed(tmp_path / "store") as page:
        assert page.queue()["kinds"] == {
            "flagged": 0,
            "pruned": 0,
            "corrected": 0,
            "doubted": 0,
            "pinned": 0,
            "all": CLIPS,
        }
        told = page.get("/clips/0")
        assert (told["probabilities"], told["measures"], told["history"]) == (None, {}, [])
        assert told["sentence"] == "never changed by the policy, and never scored"


# ---- decisions


@pytest.mark.parametrize(
    ("action", "label", "status"),
    [("keep", None, Status.PIN_KEEP), ("drop", None, Status.PIN_DROP), ("label", 2, Status.PIN_LABEL)],
)
def test_a_decision_is_a_pin_in_the_store_at_once_and_undone_as_if_it_had_never_been(
    run: Path, action: str, label: int | None, status: Status
) -> None:
    with reviewed(run) as page:
        for kind in ("pruned", "corrected", "all"):
            (clip, *_) = page.queue(kind=kind)["clips"]
            before = page.get(f"/clips/{clip}")
            told = page.pin(clip, action, label, why="seen it")
            states, last = page.desk.purifier.states(), page.desk.purifier.history(clip)[-1].event
            assert states.status[clip] & status
            assert label is None or states.label[clip] == label
            assert (last.kind, last.who, last.why, last.epoch) == ("pin", "anna", "seen it", EPOCHS + 1)
            assert told["pin"] == {"action": action, "who": "anna", "why": "seen it"}
            undone = page.say(f"/clips/{clip}/undo", event=told["undo"], who="anna").json
            same = ("kind", "given", "label", "proposed", "trains", "status", "pin", "sentence", "undo")
            assert {name: undone[name] for name in same} == {name: before[name] for name in same}
            assert [each["what"] for each in undone["history"][-2:]][1].startswith("undone: ")


def test_what_is_decided_stays_where_it_was_and_is_counted(run: Path) -> None:
    with reviewed(run) as page:
        order = every(page)
        for clip, who in zip(order[:5], ["anna", "ben", "anna", "anna", "ben"], strict=True):
            page.pin(clip, "label", int(GIVEN[clip]), who=who)
        counted = page.queue(who="anna")
        assert (counted["total"], counted["decided"], counted["mine"]) == (len(order), 5, 3)
        assert every(page) == order[5:]
        assert every(page, which="any") == order
        assert every(page, which="mine", who="anna") == [order[k] for k in (0, 2, 3)]
        assert every(page, which="others", who="anna") == [order[k] for k in (1, 4)]
        assert page.queue(after=order[2], which="open")["clips"] == order[5:6]
        assert page.queue(kind="pinned", order="clip", which="any", count=9)["clips"] == sorted(order[:5])


def test_two_tabs_decide_the_same_clip_the_last_wins_and_both_are_told(run: Path) -> None:
    with reviewed(run) as page:
        (clip, *_) = page.queue()["clips"]
        second_tab = page.get(f"/clips/{clip}")
        made = page.pin(clip, "drop", who="anna")
        assert page.get("/now")["events"] == second_tab["events"] + 1  # by which the second tab knows
        assert page.get(f"/clips/{clip}")["pin"]["who"] == "anna"
        told = page.pin(clip, "label", 1, who="ben", why="no")
        both = [each["what"] for each in told["history"][-2:]]
        assert both == ["pinned: leaves by anna", f"pinned: is {NAMES[1]} by ben: no"]
        refused = page.say(f"/clips/{clip}/undo", event=made["made"], who="anna")
        assert (refused.status, refused.json["error"]) == (
            409, f"clip {clip} was changed by ben since, so nothing was undone."
        )  # fmt: skip
        assert page.say(f"/clips/{clip}/undo", event=told["undo"], who="anna").json["pin"]["who"] == "anna"
        assert page.queue(who="anna")["mine"] == 1


def test_what_another_program_pins_meanwhile_is_seen(run: Path) -> None:
    with reviewed(run) as page:
        (clip, *_) = page.queue()["clips"]
        pin = [sys.executable, "-m", "sciu.tools.purify", "pin", str(run), str(clip), "--keep", "--who", "ben"]
        subprocess.run(pin, check=True, capture_output=True)
        assert page.get(f"/clips/{clip}")["pin"] == {"action": "keep", "who": "ben", "why": ""}
        assert page.queue()["decided"] == 1


def test_only_what_a_person_said_is_undone(run: Path) -> None:
    with reviewed(run) as page:
        (clip, *_) = page.queue(kind="pruned")["clips"]
        told = page.get(f"/clips/{clip}")
        assert told["undo"] is None
        event = page.desk.purifier.history(clip)[-1].event.number
        assert page.say(f"/clips/{clip}/undo", event=event, who="anna").status == 409
        assert page.get(f"/clips/{clip}") == told


def test_an_undo_takes_back_nobody_elses_decision(run: Path) -> None:
    """Who says the same as another has made no change, so there is none to undo."""
    with reviewed(run) as page:
        (clip, *_) = page.queue()["clips"]
        first, second = page.pin(clip, "drop", who="anna"), page.pin(clip, "drop", who="ben", why="I agree")
        assert (second["made"], second["undo"]) == (None, first["made"])
        assert second["pin"] == {"action": "drop", "who": "anna", "why": ""}
        confirmed = page.desk.purifier.history(clip)[-1].event
        assert (confirmed.who, confirmed.number) == ("ben", first["made"] + 1)
        refused = page.say(f"/clips/{clip}/undo", event=confirmed.number, who="ben")
        assert (refused.status, "so nothing was undone" in refused.json["error"]) == (409, True)
        assert page.get(f"/clips/{clip}") == {name: said for name, said in second.items() if name != "made"}


def test_a_reason_can_be_added_to_an_own_decision(run: Path) -> None:
    with reviewed(run) as page:
        (clip, *_) = page.queue()["clips"]
        made = page.pin(clip, "drop")["made"]
        told = page.pin(clip, "drop", why="blurred")
        assert (told["pin"]["why"], told["undo"], told["made"]) == ("blurred", made, None)
        assert page.say(f"/clips/{clip}/undo", event=made, who="anna").json["pin"] is None


def test_each_undo_goes_back_to_the_pin_before_and_says_how_to_undo_that(run: Path) -> None:
    with reviewed(run) as page:
        (clip, *_) = page.queue()["clips"]
        first, second = page.pin(clip, "drop", who="ben"), page.pin(clip, "label", 1)
        told = page.say(f"/clips/{clip}/undo", event=second["undo"], who="anna").json
        assert (told["pin"], told["undo"]) == (first["pin"], first["undo"])
        told = page.say(f"/clips/{clip}/undo", event=told["undo"], who="anna").json
        assert (told["pin"], told["undo"]) == (None, None)


def test_a_pin_is_freed_whatever_has_happened_since_and_that_is_undone(run: Path) -> None:
    with reviewed(run) as page:
        (clip, *_) = page.queue()["clips"]
        pinned = page.pin(clip, "drop")
        page.desk.purifier.quarantine([clip], "gone")
        told = page.get(f"/clips/{clip}")
        assert (told["pin"], told["undo"]) == (pinned["pin"], None)
        freed = page.pin(clip, "free", who="ben")
        assert (freed["pin"], freed["undo"]) == (None, None)
        assert page.queue()["decided"] == 0
        assert page.say(f"/clips/{clip}/undo", event=freed["made"], who="ben").json["pin"] == pinned["pin"]


def test_a_decision_about_what_another_person_has_decided_meanwhile_is_refused(run: Path) -> None:
    with reviewed(run) as page:
        (clip, *_) = page.queue()["clips"]
        seen = page.get(f"/clips/{clip}")["events"]
        page.pin(clip, "drop", who="ben")
        before = page.get(f"/clips/{clip}")
        said = {"action": "label", "label": 1, "who": "anna"}
        refused = page.say(f"/clips/{clip}/pin", **said, seen=seen)
        assert (refused.status, refused.json["error"]) == (
            409, f"ben has decided about clip {clip} since it was shown, so nothing was stored."
        )  # fmt: skip
        assert page.get(f"/clips/{clip}") == before
        assert page.say(f"/clips/{clip}/pin", **said, seen=before["events"]).json["pin"]["who"] == "anna"


# ---- a training at the same time


def test_who_looks_does_not_wait_for_a_decision_that_waits_for_the_store(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sciu.tools.review.desk._PATIENCE", 0.01)
    with reviewed(run) as page:
        (clip, *_) = page.queue()["clips"]
        before = page.get(f"/clips/{clip}")
        waits, goes_on = threading.Event(), threading.Event()
        reviewing = page.desk.purifier.review

        def late(pins: Any) -> None:
            waits.set()
            assert goes_on.wait(60)
            reviewing(pins)

        monkeypatch.setattr(page.desk.purifier, "review", late)
        deciding = threading.Thread(
            target=page.desk.decide, args=(clip, Decision(action="drop", label=None, who="anna", why="", seen=99))
        )
        deciding.start()
        assert waits.wait(60)
        assert page.get("/now")["events"] == before["events"]
        assert page.get(f"/clips/{clip}") == before
        assert page.queue()["decided"] == 0
        goes_on.set()
        deciding.join()
        assert page.get("/now")["events"] == before["events"] + 1
        assert page.get(f"/clips/{clip}")["pin"]["who"] == "anna"


@pytest.mark.parametrize("fails", ["sciu.tools.review.desk.Report.of", "sciu.tools.review.desk.Kinds.of"])
def test_what_a_failed_read_did_not_take_in_the_next_one_does(
    run: Path, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reviewed(run) as page:
        (clip, *_) = page.queue()["clips"]
        before = page.get(f"/clips/{clip}")
        page.desk.purifier.pin(clip, "drop", who="ben")
        page.desk.purifier.store.claim_recording()
        index = one_epoch(page.desk.purifier)
        for _ in range(2):
            with monkeypatch.context() as patch:
                patch.setattr(fails, _fail)
                assert page.send("GET", "/now").status == 503
        assert page.get("/now") == {"events": before["events"] + 2, "epoch": EPOCHS + 2}
        told = page.get(f"/clips/{clip}")
        assert (told["pin"]["who"], len(told["history"])) == ("ben", len(before["history"]) + 1)
        assert page.queue()["kinds"]["pruned"] == index.header.counts["pruned"] + (before["kind"] == "pruned")


def test_each_event_is_read_once_however_often_reading_fails(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with reviewed(run) as page:
        first, second = page.queue(kind="all", count=2)["clips"]
        known = {clip: len(page.get(f"/clips/{clip}")["history"]) for clip in (first, second)}
        purifier = page.desk.purifier
        purifier.pin(first, "drop", who="ben")
        purifier.pin(second, "drop", who="ben")
        last, rows = len(purifier.events()) - 1, purifier.rows
        monkeypatch.setattr(purifier, "rows", lambda event: _fail() if event == last else rows(event))
        assert [page.send("GET", "/now").status for _ in range(2)] == [503, 503]
        monkeypatch.setattr(purifier, "rows", rows)
        assert {clip: len(page.get(f"/clips/{clip}")["history"]) - 1 for clip in known} == known
        assert page.queue(kind="all")["decided"] == 2


def _fail(*_: Any) -> Any:
    raise PurifierError("the disk cannot be read")


def test_a_training_takes_over_what_is_decided_while_it_holds_the_store(tmp_path: Path) -> None:
    run = tmp_path / "run"
    writer = subprocess.Popen([sys.executable, noisy_clips.__file__, run], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        for _ in range(4):
            writer.stdout.readline()
        with reviewed(run) as page:
            (clip, *_) = page.queue()["clips"]
            page.pin(clip, "label", 2)
            epoch = page.get("/now")["epoch"]  # not before the pin: meanwhile the training goes on
            while page.get("/now")["epoch"] < epoch + 2:
                writer.stdout.readline()
            assert page.get(f"/clips/{clip}")["status"] == "pin label"
            assert page.queue(which="any", count=50)["decided"] == 1
    finally:
        writer.kill()
        writer.communicate()
    with Purifier.open(run / "purifier", read_only=True) as purifier:
        assert purifier.index_at(purifier.epoch).labels[clip] == 2


def test_an_epoch_that_ends_is_seen(run: Path) -> None:
    with reviewed(run) as page:
        before = page.get(f"/clips/{page.queue()['clips'][0]}")
        page.desk.purifier.store.claim_recording()  # as a training does, in a process of its own
        index = one_epoch(page.desk.purifier)
        assert page.get("/now") == {"events": before["events"] + 1, "epoch": EPOCHS + 2}
        assert page.queue()["kinds"]["pruned"] == index.header.counts["pruned"]


# ---- a store that cannot be written


def test_a_full_disk_is_said_in_a_line_and_nothing_is_lost(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with reviewed(run) as page:
        (clip, *_) = page.queue()["clips"]
        with monkeypatch.context() as patch:
            patch.setattr(layout, "append_event", full)
            refused = page.say(f"/clips/{clip}/pin", action="drop", who="anna", seen=0)
        assert refused.status == 503
        assert "cannot be written: No space left on device" in refused.json["error"]
        assert "\n" not in refused.json["error"]
        assert page.get(f"/clips/{clip}")["pin"] is None
        assert page.pin(clip, "drop")["pin"]["action"] == "drop"


def test_a_store_that_is_read_only_is_shown_and_says_why(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("sciu.tools.review.desk.open_run", refuse)  # root may write whatever the permissions say
    with reviewed(run) as page:
        assert page.get("/session")["sealed"].endswith("cannot be written: [Errno 30] Read-only file system")
        refused = page.say(f"/clips/{page.queue()['clips'][0]}/pin", action="drop", who="anna", seen=0)
        assert (refused.status, "was opened for reading only" in refused.json["error"]) == (503, True)


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must hold a purifier's store"), opened_desk(tmp_path, None):
        pass


# ---- names


def test_names_are_told_as_they_are(tmp_path: Path) -> None:
    paths = ["".join(f"{NASTY[clip % 3]}/{clip}".split()) for clip in range(CLIPS)]
    run = invented_run(tmp_path / "run", names=NASTY, paths=paths)
    with reviewed(run) as page:
        assert page.get("/session")["classes"] == [*NASTY]
        (clip, *_) = page.queue()["clips"]
        told = page.pin(clip, "label", 0, who=NASTY[0], why=NASTY[1])
        assert told["pin"] == {"action": "label", "who": NASTY[0], "why": NASTY[1]}
        assert NASTY[0] in told["history"][-1]["what"]
