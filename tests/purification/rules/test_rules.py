"""The vectorised rules agree with a literal, clip by clip transcription of the equations, also at the thresholds."""

from __future__ import annotations

import tempfile

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from literal_sciu import Clip, LiteralSciu, Score

from sciu.purification import Purifier, Sciu, Scn

CLASSES = 3
# quarters and eighths: means hit thresholds exactly
WEIGHTS = st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.875, 1.0])
PROBABILITIES = st.sampled_from(
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5], [0.75, 0.25, 0.0],
     [0.0, 0.25, 0.75], [0.375, 0.625, 0.0]]
)  # fmt: skip
SCORES = st.tuples(WEIGHTS, PROBABILITIES)
THRESHOLDS = st.sampled_from([None, 0.0, 0.125, 0.25, 0.5, 0.75, 1.0])


@st.composite
def histories(draw: st.DrawFn) -> tuple[Sciu, list[int], list[dict[int, Score]]]:
    policy = Sciu(
        prune_below=draw(THRESHOLDS), correct_above=draw(THRESHOLDS), window=draw(st.integers(1, 3)),
        warmup=draw(st.integers(0, 4)), revive_every=draw(st.integers(0, 3)), keep_per_class=0, max_pruned=1,
        confidence=draw(st.sampled_from(["predicted", "label"])),
    )  # fmt: skip
    labels = draw(st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=5))
    clips = st.integers(0, len(labels) - 1)
    epochs = draw(st.lists(st.dictionaries(clips, SCORES, min_size=1), min_size=1, max_size=8))
    return policy, labels, epochs


@settings(deadline=None, max_examples=400)
@given(histories())
def test_sciu_is_what_the_equations_say(history: tuple[Sciu, list[int], list[dict[int, Score]]]) -> None:
    policy, labels, epochs = history
    assert not isinstance(policy.prune_below, str)
    assert not isinstance(policy.correct_above, str)
    literal = LiteralSciu(
        policy.prune_below, policy.correct_above, policy.window, policy.warmup, policy.revive_every,
        [Clip(label) for label in labels], of_label=policy.confidence == "label",
    )  # fmt: skip
    with (
        tempfile.TemporaryDirectory() as folder,
        Purifier.create(folder, labels=labels, num_classes=CLASSES, policy=policy) as purifier,
    ):
        for epoch, drawn in enumerate(epochs, start=1):
            listed = literal.listed(epoch)
            assert purifier.index().ids.tolist() == listed
            scores = {clip: score for clip, score in drawn.items() if clip in listed}
            if not scores:
                return
            literal.end_epoch(epoch, scores)
            weights, probabilities = zip(*scores.values(), strict=True)
            purifier.record(list(scores), np.array(weights), np.array(probabilities))
            index = purifier.end_epoch()
            expected = [-1 if clip.pruned else clip.label for clip in literal.clips]
            assert index.labels.tolist() == expected


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, CLASSES - 1), SCORES), min_size=1, max_size=6),
    st.sampled_from([0.0, 0.125, 0.25, 0.5]),
)
def test_scn_relabels_by_the_margin_of_one_epoch(clips: list[tuple[int, Score]], margin: float) -> None:
    labels, scores = zip(*clips, strict=True)
    weights, probabilities = zip(*scores, strict=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        Purifier.create(
            folder, labels=labels, num_classes=CLASSES, policy=Scn(relabel_above=margin, warmup=2, keep_per_class=0)
        ) as purifier,
    ):
        for epoch in (1, 2):
            purifier.record(range(len(labels)), np.array(weights), np.array(probabilities))
            index = purifier.end_epoch()
            relabel = [
                max(p) - p[label] > margin and epoch == 2 for label, p in zip(labels, probabilities, strict=True)
            ]
            predicted = [p.index(max(p)) for p in probabilities]
            expected = [new if yes else old for old, new, yes in zip(labels, predicted, relabel, strict=True)]
            assert index.labels.tolist() == expected


def test_scn_of_the_paper_looks_at_the_clips_of_low_weight_only() -> None:
    wrong = [[0.0, 1.0, 0.0]] * 10
    weights = np.linspace(0.1, 1.0, 10)
    with (
        tempfile.TemporaryDirectory() as folder,
        Purifier.create(folder, labels=[0] * 10, num_classes=CLASSES, policy=Scn(warmup=1, low_share=0.3)) as purifier,
    ):
        purifier.pin(1, "label", label=0)
        purifier.record(range(10), weights, np.array(wrong))
        assert purifier.end_epoch().corrected.tolist() == [0, 2], "of the lowest three, and pins win"


def test_scn_never_empties_a_class() -> None:
    """Relabelling once removed every clip of the rarest class, and the training ended."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Purifier.create(folder, labels=[0] * 20 + [1] * 4, num_classes=CLASSES, policy=Scn(warmup=1)) as purifier,
    ):
        for _ in range(5):
            purifier.record(range(24), np.ones(24), np.tile([0.9, 0.05, 0.05], (24, 1)))
            index = purifier.end_epoch()
        assert (index.labels == 1).sum() == 2
        assert index.header.spared == {"1": 2}
