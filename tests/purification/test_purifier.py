"""The public interface: it works as designed, resumes byte for byte, and refuses what a training loop may do wrong."""

from __future__ import annotations

from pathlib import Path

import lmdb
import numpy as np
import pytest
from noisy_clips import CLASSES, CLIPS, GIVEN, NAMES, PATHS, POLICY, TRUE, UNUSABLE, begin, one_epoch, scores

from sciu.purification import Keep, Pin, PolicyError, Purifier, PurifierError, Sciu
from sciu.purification.clip_state import Status

BAD, GOOD, MISLABELLED = (
    int(np.flatnonzero(mask)[0]) for mask in (UNUSABLE, ~UNUSABLE & (GIVEN == TRUE), ~UNUSABLE & (GIVEN != TRUE))
)


def test_the_snippet_of_the_design(tmp_path: Path) -> None:
    labels = np.array([0, 1, 2, 0, 1, 2])
    with Purifier.create(tmp_path / "store", labels=labels, num_classes=7,
                         policy=Sciu(prune_below=0.7, correct_above=0.2, window=3, warmup=10)) as purifier:  # fmt: skip
        index = purifier.index()
        assert (index.epoch, index.ids.tolist(), index.labels.tolist()) == (1, [0, 1, 2, 3, 4, 5], labels.tolist())
        purifier.record(index.ids, np.full(6, 0.9), np.eye(7)[labels])
        index = purifier.end_epoch()
        assert (index.epoch, index.pruned.tolist(), index.corrected.tolist()) == (2, [], [])
        path = index.write(tmp_path / "index")
        assert path.name == "epoch_00002.json"
        assert (tmp_path / "index/epoch_00002.list").read_text() == "0 0\n1 1\n2 2\n3 3\n4 4\n5 5\n"
    with Purifier.open(tmp_path / "store") as purifier:
        assert purifier.index().files() == index.files()


def test_unusable_clips_go_and_wrong_labels_are_mended(tmp_path: Path) -> None:
    with begin(tmp_path) as purifier:
        indexes = [one_epoch(purifier) for _ in range(3)]
    assert [len(index.pruned) for index in indexes[:2]] == [0, 0]
    assert indexes[2].pruned.tolist() == np.flatnonzero(UNUSABLE).tolist()
    kept = ~UNUSABLE
    assert indexes[2].corrected.tolist() == np.flatnonzero((GIVEN != TRUE) & kept).tolist()
    assert indexes[2].labels[kept].tolist() == TRUE[kept].tolist()
    assert (indexes[2].labels[UNUSABLE] == -1).all()


def test_any_past_index_is_derived_again_byte_for_byte(tmp_path: Path) -> None:
    with begin(tmp_path / "store") as purifier:
        published = [purifier.index().files()]
        for epoch in range(1, 9):
            if epoch == 4:
                purifier.pin(0, "drop", who="anna", why="no face in it")
            if epoch == 5:
                purifier.quarantine([1, 2], "the file is gone")
            if epoch == 6:
                purifier.undo(epoch=3)
            published.append(one_epoch(purifier).files())
    with Purifier.open(tmp_path / "store") as purifier:
        assert purifier.index().files() == published[-1]
        purifier.pin(5, "drop")
        assert [purifier.index_at(epoch).files() for epoch in range(1, 10)] == published
        with pytest.raises(PurifierError, match=r"`epoch` must be from 1 to 9, the open one, but is 10"):
            purifier.index_at(10)


def test_pruned_clips_come_back_by_a_scoring_pass(tmp_path: Path) -> None:
    with begin(tmp_path) as purifier:
        for _ in range(3):
            one_epoch(purifier)
        index = purifier.index()
        assert index.epoch == 4
        assert index.score_only.tolist() == np.flatnonzero(UNUSABLE).tolist()
        assert (index.labels[UNUSABLE] == -1).all()
        weights, probs = scores(4, index.ids)
        better = int(np.flatnonzero(UNUSABLE)[0])
        weights[index.ids == better] = 1.0
        probs[index.ids == better] = np.eye(CLASSES)[TRUE[better]]
        purifier.record(index.ids, weights, probs)
        index = purifier.end_epoch()
        assert index.restored.tolist() == [better]
        assert index.labels[better] == GIVEN[better]


def test_a_scoring_pass_is_for_pruned_clips_that_nobody_took_out(tmp_path: Path) -> None:
    dropped, quarantined, kept = (int(clip) for clip in np.flatnonzero(UNUSABLE)[:3])
    with begin(tmp_path) as purifier:
        for _ in range(3):
            one_epoch(purifier)
        for _ in range(4):
            index = one_epoch(purifier)
            if index.epoch == 5:
                purifier.pin(dropped, "drop")
                purifier.quarantine([quarantined], "gone")
        index = one_epoch(purifier)
        assert index.epoch == 8 + 1
        index = purifier.index_at(8)
        assert kept in index.score_only
        assert not {dropped, quarantined} & set(index.ids.tolist())
        assert not purifier.states().has(Status.PIN_DROP)[kept]


def test_nothing_returns_but_by_a_scoring_pass(tmp_path: Path) -> None:
    """A clip kept and pruned again by hand has new scores; only with `revive_every` do they bring it back."""
    with begin(tmp_path, policy=Sciu(prune_below=0.5, window=1, warmup=1, revive_every=0)) as purifier:
        one_epoch(purifier)
        purifier.pin(BAD, "keep")
        one_epoch(purifier)
        purifier.record([BAD], [1.0], np.eye(CLASSES)[[0]])
        purifier.undo(clip=BAD)
        assert purifier.end_epoch().labels[BAD] == -1


def test_an_undone_correction_waits_for_a_whole_window(tmp_path: Path) -> None:
    with begin(tmp_path) as purifier:
        for _ in range(3):
            one_epoch(purifier)
        purifier.undo(clip=MISLABELLED)
        labels = [int(one_epoch(purifier).labels[MISLABELLED]) for _ in range(2)]
        assert labels == [GIVEN[MISLABELLED], TRUE[MISLABELLED]]


def test_minus_zero_is_zero(tmp_path: Path) -> None:
    with begin(tmp_path, policy=Sciu(prune_below=0.5, window=1, warmup=1)) as purifier:
        purifier.record([0, 1], np.array([1.0, 1.0]), np.array([[1.0, -0.0, 0.0], [1.0, 0.0, 0.0]]))
        assert purifier.end_epoch().pruned.tolist() == []


def test_only_who_claimed_it_may_record(tmp_path: Path) -> None:
    begin(tmp_path).close()
    with Purifier.open(tmp_path, recording=False) as purifier:
        with pytest.raises(PurifierError, match="was not opened for recording"):
            purifier.record([0], [0.5], ONE)
        with pytest.raises(PurifierError, match="was not opened for recording"):
            purifier.end_epoch()
    with pytest.raises(PurifierError, match="was closed. Open it again"):
        purifier.states()


def test_scores_of_an_unfinished_epoch_are_forgotten(tmp_path: Path) -> None:
    with begin(tmp_path) as purifier:
        before = one_epoch(purifier)
        purifier.record([0], np.array([0.1]), np.full((1, CLASSES), 1 / CLASSES))
    with Purifier.open(tmp_path) as purifier:
        assert purifier.epoch == 2
        assert purifier.index().files() == before.files()
        with pytest.raises(PurifierError, match="epoch 2 must have scores to end, but nothing was recorded"):
            purifier.end_epoch()


def test_of_a_clip_recorded_twice_the_last_counts(tmp_path: Path) -> None:
    with begin(tmp_path, policy=Keep(window=1)) as purifier:
        purifier.record([3, 3], np.array([0.25, 0.5]), np.eye(CLASSES)[[0, 1]])
        purifier.record([3, 4], np.array([0.75, 1.0]), np.eye(CLASSES)[[2, 0]])
        purifier.end_epoch()
        assert purifier.scores(3) == [(1, 0.75, [0.0, 0.0, 1.0])]
        assert purifier.scores(5) == []


ONE = np.full((1, CLASSES), 1 / CLASSES)


@pytest.mark.parametrize(
    ("ids", "weights", "probs", "message"),
    [
        ([CLIPS], [0.5], ONE, f"`ids` must be clip ids from 0 to {CLIPS - 1}, but {CLIPS} is among them"),
        ([-1], [0.5], ONE, "but -1 is among them"),
        ([0.5], [0.5], ONE, "`ids` must be a list of whole numbers, but is float64"),
        ([[0]], [0.5], ONE, r"of shape \(1, 1\)"),
        ([0], [np.nan], ONE, "`weights` must be between 0 and 1, but those of clip 0 are nan"),
        ([0], [np.inf], ONE, "`weights` must be between 0 and 1"),
        ([0], [-0.1], ONE, "`weights` must be between 0 and 1"),
        ([0], [0.5], [[0.5, np.nan, 0.5]], "`probs` must be between 0 and 1, but those of clip 0 are"),
        ([0], [0.5], [[1.2, -0.1, -0.1]], "`probs` must be between 0 and 1"),
        ([0], [0.5], [[0.1, 0.1, 0.1]], r"`probs` must sum to 1 .* clip 0 sum to 0.300. Give probabilities"),
        ([0], [0.5], [[0.5, 0.5]], r"must have shapes \(1,\) and \(1, 3\), but have \(1,\) and \(1, 2\)"),
        ([0], [0.5, 0.5], ONE, r"but have \(2,\)"),
        ([0], [1], ONE, "`weights` must be floating point numbers, but are int64"),
    ],
)
def test_scores_that_cannot_be_are_refused_whole(
    tmp_path: Path, ids: object, weights: object, probs: object, message: str
) -> None:
    with begin(tmp_path) as purifier:
        with pytest.raises(PurifierError, match=message):
            purifier.record(ids, weights, probs)
        with pytest.raises(PurifierError, match="nothing was recorded"):
            purifier.end_epoch()


def test_records_of_clips_that_are_not_listed_are_refused(tmp_path: Path) -> None:
    with begin(tmp_path) as purifier:
        for _ in range(4):
            index = one_epoch(purifier)
        assert BAD not in index.ids
        with pytest.raises(PurifierError, match=f"clip {BAD} must not be recorded: it is not in the index of epoch 5"):
            purifier.record([BAD], [0.5], ONE)


def test_clips_outside_the_training_set_keep_their_ids_and_stay_out(tmp_path: Path) -> None:
    labels = GIVEN.copy()
    labels[10:20] = -1
    with begin(tmp_path, labels=labels) as purifier:
        assert not set(range(10, 20)) & set(purifier.index().ids.tolist())
        assert (one_epoch(purifier).labels[10:20] == -1).all()
        with pytest.raises(PurifierError, match="but 12 is not in the training set"):
            purifier.pin(12, "keep")


# ---- users' decisions


def test_pins_win_over_the_policy_until_they_are_freed(tmp_path: Path) -> None:
    with begin(tmp_path) as purifier:
        purifier.pin(BAD, "keep")
        purifier.pin(GOOD, "drop")
        purifier.pin(MISLABELLED, "label", label=int(GIVEN[MISLABELLED]), who="anna", why="I know better")
        assert GOOD in purifier.index().ids, "the open epoch's index is published already"
        assert GOOD not in one_epoch(purifier).ids
        for _ in range(3):
            index = one_epoch(purifier)
        assert BAD in index.ids
        assert GOOD not in index.ids
        assert index.labels[MISLABELLED] == GIVEN[MISLABELLED]
        for clip in (BAD, GOOD, MISLABELLED):
            purifier.pin(clip, "free")
        for _ in range(3):
            index = one_epoch(purifier)
        assert index.labels[BAD] == -1
        assert GOOD in index.ids
        assert index.labels[MISLABELLED] == TRUE[MISLABELLED]


def test_pins_that_make_no_sense_change_nothing(tmp_path: Path) -> None:
    with begin(tmp_path) as purifier:
        for pin, message in (
            (Pin(clip=CLIPS, action="keep"), "does not exist"),
            (Pin(clip=0, action="love"), "pin must be one of"),  # type: ignore[arg-type]
            (Pin(clip=0, action="label"), "a label belongs to the pin 'label' and to no other"),
            (Pin(clip=0, action="keep", label=1), "a label belongs to"),
            (Pin(clip=0, action="label", label=CLASSES), "label must be a class number from 0 to 2, but is 3"),
        ):
            with pytest.raises(PurifierError, match=message):
                purifier.review([Pin(clip=1, action="drop"), pin])
        assert len(purifier.events()) == 1
        assert not purifier.states().status.any()


def test_each_undo_of_a_clip_goes_one_change_further_back(tmp_path: Path) -> None:
    with begin(tmp_path) as purifier:
        for _ in range(3):
            one_epoch(purifier)
        purifier.pin(BAD, "label", label=(GIVEN[BAD] + 1) % CLASSES)
        assert purifier.undo(clip=BAD, who="anna", why="only dark").tolist() == [BAD]
        assert purifier.states().status[BAD] == Status.PRUNED
        purifier.undo(clip=BAD)
        assert purifier.states().status[BAD] == 0
        assert purifier.states().label[BAD] == GIVEN[BAD]
        assert [entry.event.kind for entry in purifier.history(BAD)] == ["epoch", "pin", "undo", "undo"]
        with pytest.raises(PurifierError, match=f"clip {BAD} has no change in effect"):
            purifier.undo(clip=BAD)
        purifier.pin(BAD, "drop")
        purifier.undo(clip=BAD)
        assert purifier.states().status[BAD] == 0


def test_an_undone_clip_is_judged_by_new_scores_only(tmp_path: Path) -> None:
    with begin(tmp_path) as purifier:
        for _ in range(4):
            one_epoch(purifier)
        purifier.undo(clip=BAD)
        assert BAD not in purifier.index().ids
        judged = [one_epoch(purifier).labels[BAD] >= 0 for _ in range(3)]
        assert judged == [True, True, False], "in the next index, then scored twice, then pruned again"


def test_an_epoch_is_undone_but_for_what_changed_since(tmp_path: Path) -> None:
    bad = np.flatnonzero(UNUSABLE)
    with begin(tmp_path) as purifier:
        for _ in range(3):
            index = one_epoch(purifier)
        purifier.pin(bad[0], "drop")
        undone = purifier.undo(epoch=3)
        assert undone.tolist() == sorted({*bad[1:].tolist(), *index.corrected.tolist()})
        assert (purifier.states().label == GIVEN).all()
        with pytest.raises(PurifierError, match="epoch 3 has no change in effect"):
            purifier.undo(epoch=3)
        with pytest.raises(PurifierError, match="epoch 4 must have ended to be undone, but has not"):
            purifier.undo(epoch=4)
        with pytest.raises(PolicyError, match="undo needs a clip, an epoch or both"):
            purifier.undo()


def test_quarantine_and_release(tmp_path: Path) -> None:
    with begin(tmp_path) as purifier:
        purifier.quarantine([7, 7, 3], "not there")
        purifier.quarantine([3], "still not there")
        assert len(purifier.events()) == 2, "nothing new happened the second time"
        index = one_epoch(purifier)
        assert not {3, 7} & set(index.ids.tolist())
        assert index.header.counts["quarantined"] == 2
        purifier.release([3])
        assert 3 in one_epoch(purifier).ids


# ---- opening a store


def test_another_dataset_or_policy_is_refused_with_both_sides(tmp_path: Path) -> None:
    begin(tmp_path, fingerprint="abc").close()
    with pytest.raises(PurifierError, match=r"of this dataset: here it is 'xyz', in the store 'abc'"):
        Purifier.open(tmp_path, fingerprint="xyz")
    with pytest.raises(PurifierError, match=r"policy's `window`: here it is 3, in the store 2"):
        Purifier.open(tmp_path, policy=Sciu(**{**POLICY.__dict__, "window": 3}))
    with Purifier.open(tmp_path, fingerprint="abc", policy=POLICY) as purifier:
        assert purifier.policy == POLICY
        assert purifier.class_names == NAMES
        assert purifier.lines.path(3) == PATHS[3]


def test_a_second_recorder_is_refused_but_people_are_not(tmp_path: Path) -> None:
    with begin(tmp_path / "a"), pytest.raises(PurifierError, match="already open in this process"):
        Purifier.open(tmp_path / "a", recording=False)


@pytest.mark.parametrize("what", ["nothing", "a file", "an empty folder", "junk", "other files"])
def test_what_is_no_store_is_told(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "store"
    if what == "a file":
        folder.write_text("hello")
    elif what != "nothing":
        folder.mkdir()
    if what == "junk":
        (folder / "data.mdb").write_bytes(b"junk" * 5000)
    if what == "other files":
        (folder / "thesis.tex").write_text("years of work")
        with pytest.raises(PurifierError, match="must be new or empty, but is not"):
            begin(folder)
        assert (folder / "thesis.tex").exists()
    message = "is damaged: not an LMDB data file" if what == "junk" else "must hold a purifier's store, but has no data"
    with pytest.raises(PurifierError, match=message):
        Purifier.open(folder)


def test_anothers_lmdb_is_left_alone(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path)) as others, others.begin(write=True) as transaction:
        transaction.put(b"head", b"precious")
    with pytest.raises(PurifierError, match="must be new or empty, but holds another LMDB"):
        begin(tmp_path)
    with pytest.raises(PurifierError, match="is an LMDB, but not a purifier's store, or damaged"):
        Purifier.open(tmp_path)
    with lmdb.open(str(tmp_path)) as others, others.begin() as transaction:
        assert transaction.get(b"head") == b"precious"


def test_integers_of_any_kind_are_taken(tmp_path: Path) -> None:
    with begin(tmp_path, num_classes=np.int64(CLASSES), paths=[Path(path) for path in PATHS]) as purifier:
        purifier.pin(np.int64(3), "label", label=np.int8(1))
        assert purifier.states().label[3] == 1
        for wrong in ("1", 1.5):
            with pytest.raises(PolicyError, match="`clip` must be a whole number"):
                purifier.pin(wrong, "keep")  # type: ignore[arg-type]


def test_a_store_is_not_begun_over_another(tmp_path: Path) -> None:
    begin(tmp_path).close()
    with pytest.raises(PurifierError, match="holds a store already"):
        begin(tmp_path)


def test_a_newer_store_is_refused_with_both_sides(tmp_path: Path) -> None:
    with begin(tmp_path) as purifier, purifier.store.writing() as transaction:
        transaction.put_json("meta", {**transaction.get_json("meta"), "schema": 2})
    with pytest.raises(PurifierError, match="has schema 2, but this version of sciu reads schema 1"):
        Purifier.open(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": [0, 1, 3]}, "`labels` must be from 0 to 2, or -1, but clip 2 has 3"),
        ({"labels": [0.5]}, "`labels` must be a list of class numbers, but is float64"),
        ({"labels": [-1, -1]}, "must have a clip that trains, but all are -1"),
        ({"labels": []}, "`labels` must be a list of class numbers"),
        ({"labels": [[0], [1, 2]]}, "`labels` must become a numpy array, but: "),
        ({"num_classes": 3.0}, "`num_classes` must be a whole number, but is 3.0"),
        ({"paths": ["a\0b"] * CLIPS}, "must be one word"),
        ({"num_classes": 1}, "`num_classes` must be a whole number from 2"),
        ({"paths": PATHS[:-1]}, f"`paths` must be as many as `labels`, {CLIPS}, but are {CLIPS - 1}"),
        ({"paths": ["a b.mp4"] * CLIPS}, "path of clip 0 must be one word, .* but is 'a b.mp4'"),
        ({"paths": [""] * CLIPS}, "must be one word"),
        ({"class_names": ["a", "b"]}, "`class_names` must be 3 different names"),
        ({"class_names": ["a", "b", "a"]}, "`class_names` must be 3 different names"),
    ],
)
def test_a_store_of_nonsense_is_never_begun(tmp_path: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(PurifierError, match=message):
        begin(tmp_path / "store", **settings)
    assert not (tmp_path / "store").exists()
