"""Scores are taken as they come, the last of a clip counts, and one that is wrong lets none of its batch in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sciu.purification import PurifierError
from sciu.purification.store.records import Records

CLIPS, CLASSES = 6, 3
ALL = np.ones(CLIPS, np.bool_)
ROWS = ([1, 0, 0], [0.5, 0.5, 0], [0.25, 0.25, 0.5], [0, 0.125, 0.875])  # which half precision holds exactly
SCORES = st.tuples(st.integers(0, CLIPS - 1), st.sampled_from([0.0, 0.25, 1.0]), st.sampled_from(ROWS))


def content(records: Records) -> dict[int, tuple[float, list[float]]]:
    """What has been recorded, by clip id."""
    seen, scores = records.block(slice(0, CLIPS))
    return {
        clip: (float(scores.weight_N[clip]), scores.probs_KN[:, clip].tolist())
        for clip in np.flatnonzero(seen).tolist()
    }


def put(records: Records, ids: Any, weights: Any, probs: Any, allowed: NDArray[np.bool_] = ALL) -> None:
    records.put(ids, weights, probs, allowed, 4)


@given(st.lists(st.lists(SCORES, min_size=1, max_size=8), max_size=4))
def test_of_a_clip_the_last_score_counts(batches: list[list[tuple[int, float, list[float]]]]) -> None:
    """In a batch, and over batches."""
    records = Records(CLIPS, CLASSES)
    for batch in batches:
        ids, weights, probs = zip(*batch, strict=True)
        put(records, ids, np.array(weights), np.array(probs, float))
    assert content(records) == {clip: (weight, probs) for batch in batches for clip, weight, probs in batch}


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_any_floating_point_will_do(kind: type) -> None:
    records = Records(CLIPS, CLASSES)
    put(records, np.array([4], np.uint8), np.array([0.75], kind), np.array([ROWS[2]], kind))
    assert content(records) == {4: (0.75, ROWS[2])}


def test_tensors_and_lists_will_do() -> None:
    records = Records(CLIPS, CLASSES)
    put(records, torch.tensor([1]), torch.tensor([0.5]), torch.tensor([ROWS[3]], dtype=torch.float32))
    put(records, [2], [0.25], [[0.5, 0.5, 0.0]])
    assert content(records) == {1: (0.5, ROWS[3]), 2: (0.25, ROWS[1])}


def test_a_block_is_a_part_of_it() -> None:
    records = Records(CLIPS, CLASSES)
    put(records, [1, 3], np.array([0.25, 0.5]), np.array([ROWS[0], ROWS[2]]))
    seen, scores = records.block(slice(2, 5))
    assert seen.tolist() == [False, True, False]
    assert scores.weight_N.tolist() == [0, 0.5, 0]
    assert scores.probs_KN[:, 1].tolist() == ROWS[2]


def test_no_clips_are_no_mistake() -> None:
    """A rank may have none."""
    records = Records(CLIPS, CLASSES)
    put(records, [], np.zeros(0), np.zeros((0, CLASSES)))
    assert content(records) == {}


# ---- rounding


def test_what_rounding_made_of_one_is_one() -> None:
    records = Records(CLIPS, CLASSES)
    put(records, [0], np.array([1.0009]), np.array([[1.0009, 0, 0]]))
    assert content(records) == {0: (1.0, [1.0, 0.0, 0.0])}


def test_there_is_no_minus_zero() -> None:
    """Evidence compares bits, and those of -0 are the highest of all."""
    records = Records(CLIPS, CLASSES)
    put(records, [0], np.array([-0.0]), np.array([[1.0, -0.0, 0.0]]))
    assert not np.signbit(records.scores.weight_N).any()
    assert not np.signbit(records.scores.probs_KN).any()


@settings(deadline=None)  # of torch's first call
@given(st.lists(st.floats(-9, 9), min_size=CLASSES, max_size=CLASSES))
def test_a_softmax_in_bf16_is_taken(logits: list[float]) -> None:
    """Its sum may be off by 0.02."""
    probs = torch.tensor([logits]).softmax(dim=1).bfloat16().float()
    records = Records(CLIPS, CLASSES)
    put(records, [0], np.array([0.5]), probs)
    assert content(records)[0][1] == pytest.approx(probs[0].tolist(), abs=1e-3)


@pytest.mark.parametrize(("total", "taken"), [(0.96, True), (1.04, True), (0.94, False), (1.06, False)])
def test_probabilities_sum_to_about_one(total: float, taken: bool) -> None:
    records = Records(CLIPS, CLASSES)
    probs = np.array([ROWS[0], [total / 2, total / 2, 0]])
    if taken:
        put(records, [0, 5], np.ones(2), probs)
        return
    with pytest.raises(PurifierError, match=f"clip 5 sum to {total}.*softmax"):
        put(records, [0, 5], np.ones(2), probs)


# ---- what is wrong


WRONG: dict[str, tuple[Any, Any, Any, str]] = {
    "an id too high": ([0, CLIPS], [1.0, 1.0], [ROWS[0]] * 2, f"{CLIPS} is among them"),
    "an id below 0": ([0, -1], [1.0, 1.0], [ROWS[0]] * 2, "-1 is among them"),
    "ids that are no numbers": (["0"], [1.0], [[1.0, 0, 0]], "whole numbers"),
    "truths for ids": ([True], [1.0], [[1.0, 0, 0]], "whole numbers"),
    "a weight above 1": ([0, 1], [1.0, 1.002], np.array([ROWS[0]] * 2, float), "weights.*clip 1 are"),
    "a weight that is none": ([0, 1], [1.0, np.nan], np.array([ROWS[0]] * 2, float), "weights.*clip 1 are"),
    "a probability below 0": ([0, 1], [1.0, 1.0], [[1.0, 0, 0], [1.1, -0.1, 0]], "probs.*clip 1 are"),
    "endless logits": ([0, 1], [1.0, 1.0], [[1.0, 0, 0], [np.inf, 0, 0]], "probs.*clip 1 are"),
    "whole numbers for weights": ([0], [1], [[1.0, 0, 0]], "weights.*floating point.*int64"),
    "whole numbers for probabilities": ([0], [1.0], [[1, 0, 0]], "probs.*floating point.*int64"),
    "too few classes": ([0], [1.0], [[0.5, 0.5]], r"\(1, 3\).*\(1, 2\)"),
    "too few weights": ([0, 1], [1.0], [[1.0, 0, 0]] * 2, r"\(2,\).*\(1,\)"),
    "ragged rows": ([0, 1], [1.0, 1.0], [[1.0, 0, 0], [1.0]], "probs.*numpy array"),
    "what gradients hang on": ([0], torch.ones(1, requires_grad=True), [[1.0, 0, 0]], "weights.*numpy array.*float"),
    "bf16": ([0], [1.0], torch.tensor([[1.0, 0, 0]]).bfloat16(), "probs.*numpy array.*float"),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_one_that_is_wrong_keeps_its_batch_out(name: str) -> None:
    ids, weights, probs, told = WRONG[name]
    records = Records(CLIPS, CLASSES)
    put(records, [0], np.array([0.25]), np.array([ROWS[2]]))
    with pytest.raises(PurifierError, match=told):
        put(records, ids, weights, probs)
    assert content(records) == {0: (0.25, ROWS[2])}


def test_a_clip_that_is_not_listed_is_told_with_the_epoch() -> None:
    records, allowed = Records(CLIPS, CLASSES), ALL.copy()
    allowed[3] = False
    put(records, [2], np.ones(1), np.array([[1.0, 0, 0]]), allowed)
    with pytest.raises(PurifierError, match="clip 3 .*epoch 4"):
        put(records, [2, 3], np.zeros(2), np.array([[1.0, 0, 0]] * 2), allowed)
    assert content(records) == {2: (1.0, [1.0, 0.0, 0.0])}
