"""Losses: by hand, by finite differences, and in the precisions that training uses."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sciu.models.losses.cross_entropy import cross_entropy, weighted_cross_entropy
from sciu.models.losses.mean_absolute_error import mean_absolute_error
from sciu.models.losses.rank_regularisation import rank_regularisation
from sciu.models.losses.symmetric_cross_entropy import symmetric_cross_entropy

LABELS = torch.tensor([0, 2, 1])
LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3], [-3.0, 4.0, 0.0]])
WEIGHTS = torch.tensor([0.9, 0.1, 0.5])

Loss = Callable[[Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "cross_entropy": lambda logits: cross_entropy(logits, LABELS),
    "smoothed": lambda logits: cross_entropy(logits, LABELS, label_smoothing=0.1),
    "weighted": lambda logits: weighted_cross_entropy(logits, WEIGHTS, LABELS),
    "symmetric": lambda logits: symmetric_cross_entropy(logits, LABELS),
    "mean_absolute_error": lambda logits: mean_absolute_error(logits, LABELS),
}


def softmax(row: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in row)
    return [math.exp(value) / total for value in row]


def test_by_hand() -> None:
    for clip, label in enumerate(LABELS.tolist()):
        row = LOGITS[clip].tolist()
        p = softmax(row)
        weighted = softmax([WEIGHTS[clip].item() * value for value in row])
        one_hot = [float(k == label) for k in range(3)]
        reverse = -sum(p[k] * (0.0 if one_hot[k] else -4.0) for k in range(3))
        expected = {
            "cross_entropy": -math.log(p[label]),
            "weighted": -math.log(weighted[label]),
            "symmetric": 0.1 * -math.log(p[label]) + reverse,
            "mean_absolute_error": sum(abs(p[k] - one_hot[k]) for k in range(3)),
        }
        for name, value in expected.items():
            assert LOSSES[name](LOGITS)[clip].item() == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_match_finite_differences(name: str) -> None:
    step = 1e-2
    logits = LOGITS.clone().requires_grad_()
    LOSSES[name](logits).sum().backward()
    assert logits.grad is not None
    for clip in range(3):
        for k in range(3):
            moved = [LOGITS.clone(), LOGITS.clone()]
            moved[0][clip, k] += step
            moved[1][clip, k] -= step
            slope = (LOSSES[name](moved[0]).double().sum() - LOSSES[name](moved[1]).double().sum()) / (2 * step)
            assert logits.grad[clip, k].item() == pytest.approx(slope.item(), abs=2e-3)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("name", LOSSES)
def test_stable_in_every_precision(name: str, scale: float, precision: torch.dtype) -> None:
    logits = (LOGITS * scale).clamp(-6e4, 6e4).to(precision).requires_grad_()
    loss = LOSSES[name](logits)
    assert loss.dtype == torch.float32
    assert loss.shape == (3,)
    loss.sum().backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(loss).all() and torch.isfinite(logits.grad).all())


@pytest.mark.parametrize("name", LOSSES)
def test_labels_of_an_epoch_index_are_taken_as_they_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are int16, and -1 where a clip is scored only: no loss, no gradient."""
    expected = LOSSES[name](LOGITS)
    monkeypatch.setitem(globals(), "LABELS", torch.tensor([0, -1, 1], dtype=torch.int16))
    logits = LOGITS.clone().requires_grad_()
    loss = LOSSES[name](logits)
    assert loss.tolist() == [expected[0].item(), 0.0, expected[2].item()]
    loss.sum().backward()
    assert logits.grad is not None
    assert not logits.grad[1].any()


def test_a_clip_of_weight_0_teaches_nothing() -> None:
    logits = LOGITS.clone().requires_grad_()
    weighted_cross_entropy(logits, torch.zeros(3), LABELS).sum().backward()
    assert logits.grad is not None
    assert not logits.grad.any()


@settings(deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=50), st.floats(0.1, 0.9), st.floats(0, 0.5))
def test_rank_regularisation_is_the_margin_less_the_gap(weights: list[float], beta: float, margin: float) -> None:
    ordered = sorted(weights, reverse=True)
    split = min(max(1, int(beta * len(ordered))), len(ordered) - 1)
    high, low = ordered[:split], ordered[split:]
    expected = max(0.0, margin - (sum(high) / len(high) - sum(low) / len(low)))
    found = rank_regularisation(torch.tensor(weights), beta=beta, margin=margin)
    assert found.item() == pytest.approx(expected, abs=1e-5)


def test_rank_regularisation_pulls_equal_weights_apart() -> None:
    weights = torch.full((10,), 0.5, requires_grad=True)
    loss = rank_regularisation(weights)
    assert loss.item() == pytest.approx(0.15)
    loss.backward()
    assert weights.grad is not None
    assert sorted({round(value, 4) for value in weights.grad.tolist()}) == [-0.1429, 0.3333]


def test_one_clip_alone_has_no_rank() -> None:
    assert rank_regularisation(torch.tensor([0.3])).item() == 0.0
