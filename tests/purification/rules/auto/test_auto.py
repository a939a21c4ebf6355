"""`auto` in a simulated training: what it finds, restores, spares and explains, and that it resumes exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from noisy_clips import CLASSES, NAMES
from numpy.typing import NDArray

from sciu.purification import Auto, Elr, EpochIndex, Keep, Pin, PolicyError, Purifier
from sciu.purification.care.audit import audit
from sciu.purification.care.explain import reason
from sciu.purification.care.report import Report
from sciu.purification.clip_state import Status
from sciu.purification.store.running_average import KEPT

EPOCHS = 12
POLICY = Auto.for_epochs(EPOCHS)
CLIPS = 900
_rng = np.random.default_rng(0)
TRUE = _rng.integers(0, CLASSES, CLIPS)
UNUSABLE, WRONG = _rng.random(CLIPS) < 0.2, _rng.random(CLIPS) < 0.3
GIVEN = np.where(WRONG, (TRUE + 1) % CLASSES, TRUE).astype(np.int16)
PATHS = [f"Clip/{clip:05d}.mp4" for clip in range(CLIPS)]
WRONG_LABELS = WRONG & ~UNUSABLE


def scores(epoch: int, ids: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities of a network that is sure of the true class, except for unusable clips; it gives no weights."""
    logits = np.random.default_rng(epoch).normal(size=(CLIPS, CLASSES))
    logits[np.arange(CLIPS), TRUE] += 4
    logits[UNUSABLE] *= 0.1
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.ones(len(ids)), probs[ids]


def one_epoch(purifier: Purifier) -> EpochIndex:
    ids = purifier.index().ids
    purifier.record(ids, *scores(purifier.epoch, ids))
    return purifier.end_epoch()


def begin(folder: Path, policy: Auto | Elr | Keep = POLICY) -> Purifier:
    return Purifier.create(folder, labels=GIVEN, num_classes=CLASSES, policy=policy, paths=PATHS, class_names=NAMES)


@pytest.fixture
def ended(tmp_path: Path) -> Purifier:
    """A training of twelve epochs, whose indexes are published."""
    purifier = begin(tmp_path / "purifier")
    purifier.index().write(tmp_path / "index")
    for _ in range(EPOCHS):
        one_epoch(purifier).write(tmp_path / "index")
    return purifier


def test_it_prunes_what_stays_unusable_and_corrects_what_is_surely_wrong(ended: Purifier) -> None:
    states = ended.states()
    pruned, corrected = states.has(Status.PRUNED), states.training & (states.label != GIVEN)
    assert (pruned & UNUSABLE).sum() >= 0.9 * UNUSABLE.sum()
    assert (pruned & UNUSABLE).sum() >= 0.9 * pruned.sum()
    assert (corrected & WRONG_LABELS).sum() >= 0.8 * WRONG_LABELS.sum()
    assert (states.label[corrected] == TRUE[corrected]).mean() >= 0.95


def test_it_waits_for_its_evidence(ended: Purifier) -> None:
    """A fifth of the epochs, three of them with noise, and scores that are sure on average."""
    counts = [ended.index_at(epoch).header.counts for epoch in range(1, EPOCHS + 2)]
    assert [count["pruned"] > 0 for count in counts] == [epoch > 3 for epoch in range(1, EPOCHS + 2)]
    noise = [ended.index_at(epoch).header.thresholds.get("noise", 0) for epoch in range(1, EPOCHS + 2)]
    first = next(epoch for epoch, count in enumerate(counts, start=1) if count["corrected"])
    assert noise[first - 1] == 3
    assert 3 < first < EPOCHS


def test_clean_labels_are_left_alone(tmp_path: Path) -> None:
    with Purifier.create(tmp_path, labels=TRUE, num_classes=CLASSES, policy=POLICY) as purifier:
        for _ in range(EPOCHS):
            ids = purifier.index().ids
            sure = np.where(np.arange(CLASSES) == TRUE[:, None], 0.9, 0.05)
            purifier.record(ids, np.ones(len(ids)), sure[ids])
            index = purifier.end_epoch()
        assert (index.labels == TRUE).all()
        assert index.header.thresholds["pull"] == 0


def test_the_average_follows_what_was_recorded_and_is_what_the_loss_is_given(tmp_path: Path) -> None:
    with begin(tmp_path, Elr()) as purifier:
        expected = np.zeros((CLIPS, CLASSES))
        for epoch in range(1, 5):
            ids = np.arange(CLIPS) if epoch != 3 else np.arange(0, CLIPS, 2)
            weights, probs = scores(epoch, ids)
            purifier.record(ids, weights, probs)
            expected[ids] = KEPT * expected[ids] + (1 - KEPT) * probs
            targets = purifier.end_epoch().targets
            assert targets is not None
            assert np.allclose(targets["average"], expected, atol=2e-3)


def test_the_pull_is_weaker_where_a_class_fades(ended: Purifier) -> None:
    """There is no pull in the first epoch, before noise is known, and never one for clips that a user labelled."""
    ended.review([Pin(clip=0, action="label", label=1)])
    one_epoch(ended)
    index = ended.index()
    assert index.targets is not None
    limits = index.header.thresholds
    assert {type(limit) for limit in limits.values()} == {float}, "numpy's own would not be read back from checkpoints"
    weakened = min(1, limits["lowest_standing"] / 0.85) ** 2
    assert limits["pull"] == pytest.approx(3 * weakened)
    assert limits["pull"] > 0
    trains = index.labels >= 0
    assert index.targets["pull"][0] == 0
    assert np.allclose(index.targets["pull"][trains][1:], limits["pull"], atol=2e-3)
    assert (index.targets["pull"][~trains] == 0).all()
    first = ended.index_at(1).targets
    assert first is not None
    assert (first["pull"] == 0).all()


def test_noise_that_was_seen_once_is_not_forgotten(ended: Purifier) -> None:
    """A network that memorises wrong labels contradicts them less and less."""
    learnt = np.where(np.arange(CLASSES) == GIVEN[:, None], 0.9, 0.05)
    for _ in range(8):
        ids = ended.index().ids
        ended.record(ids, np.ones(len(ids)), learnt[ids])
        limits = ended.end_epoch().header.thresholds
    assert limits["evenness"] < 0.5
    assert limits["noise"] == 3, "epochs in a row, in which it was seen"


def test_elr_pulls_from_the_first_epoch_and_decides_nothing(tmp_path: Path) -> None:
    with begin(tmp_path, Elr(pull=2.0)) as purifier:
        for _ in range(4):
            index = purifier.index()
            assert index.targets is not None
            assert (index.targets["pull"] == 2).all()
            assert (one_epoch(purifier).labels == GIVEN).all()


def test_a_correction_that_is_doubted_again_is_taken_back(ended: Purifier) -> None:
    clip = int(np.flatnonzero(WRONG_LABELS & (ended.states().label != GIVEN))[0])
    own = np.full(CLASSES, 0.02)
    own[GIVEN[clip]] = 0.96
    for _ in range(4):
        ids = ended.index().ids
        weights, probs = scores(ended.epoch, ids)
        probs[ids == clip] = own
        ended.record(ids, weights, probs)
        ended.end_epoch()
    assert ended.states().label[clip] == GIVEN[clip]
    last = ended.history(clip)[-1]
    assert reason(ended, last.event, last.row).startswith(f"given label {NAMES[GIVEN[clip]]} restored")


def test_no_class_shrinks_by_more_than_a_seventh_whatever_the_scores_say(tmp_path: Path) -> None:
    """The network predicts one class only; a run would end once a class has no clips left."""
    with begin(tmp_path) as purifier:
        for _ in range(EPOCHS):
            ids = purifier.index().ids
            purifier.record(ids, np.ones(len(ids)), np.tile([0.98, 0.01, 0.01], (len(ids), 1)))
            index = purifier.end_epoch()
        for k in range(CLASSES):
            of_class = np.flatnonzero(k == GIVEN)
            assert (index.labels == k).sum() >= 0.85 * len(of_class)


def test_an_undone_correction_rests_for_a_window_and_a_pin_lasts(ended: Purifier) -> None:
    states, sureness = ended.states(), POLICY.grounds(ended.evidence(), ended.states()).sureness
    corrected = np.flatnonzero(states.training & (states.label != GIVEN))
    first, second = corrected[np.argsort(-sureness[corrected])][:2].tolist()
    ended.undo(clip=first)
    ended.review([Pin(clip=second, action="label", label=int(GIVEN[second]))])
    for epoch in range(POLICY.window):
        one_epoch(ended)
        believed = int(ended.states().label[first])
        assert believed == (TRUE[first] if epoch == POLICY.window - 1 else GIVEN[first])
    assert ended.states().label[second] == GIVEN[second]


def test_every_decision_is_told_with_its_numbers(ended: Purifier) -> None:
    states = ended.states()
    corrected = int(np.flatnonzero(states.training & (states.label != GIVEN))[0])
    pruned = int(np.flatnonzero(states.has(Status.PRUNED))[0])
    told = {
        clip: reason(ended, entry.event, entry.row) for clip in (corrected, pruned) for entry in ended.history(clip)
    }
    assert told[corrected].startswith(
        f"relabelled {NAMES[GIVEN[corrected]]} -> {NAMES[TRUE[corrected]]}: averaged over"
    )
    assert "clips are labelled" in told[corrected]
    assert told[pruned].startswith("pruned: its predictions carry information 0.0")


def test_all_that_was_published_can_be_told_again(ended: Purifier, tmp_path: Path) -> None:
    """This includes the targets of past epochs, byte for byte, from a purifier that opens the store again."""
    ended.close()
    with Purifier.open(tmp_path / "purifier", policy=POLICY, read_only=True) as again:
        for index in again.indexes():
            files = index.files()
            assert f"epoch_{index.epoch:05d}.targets.npy" in files
            for name, content in files.items():
                assert (tmp_path / "index" / name).read_bytes() == content
    assert audit(tmp_path / "purifier", tmp_path / "index") == []
    read = EpochIndex.read(tmp_path / "index", 7)
    assert read.targets is not None
    assert read.targets.dtype["average"].shape == (CLASSES,)


def test_the_report_goes_by_the_averages(ended: Purifier) -> None:
    report = Report.of(ended)
    suspects = report.doubtful(np.flatnonzero(~UNUSABLE), "label-score")[: WRONG_LABELS.sum()]
    assert WRONG_LABELS[suspects].mean() >= 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sure": 0.5}, "`sure` must be above 0.5"),
        ({"sure": 2}, "`sure` must be between 0 and 1, but is 2"),
        ({"pull": -1}, "`pull` must be from 0 to 1000, but is -1"),
        ({"act_after": 1.5}, "`act_after` must be a whole number at least 0, but is 1.5"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, float], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        Auto(**settings)  # type: ignore[arg-type]
