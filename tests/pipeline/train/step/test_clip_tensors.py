"""Labels are read and scores written by clip id, and nothing else is changed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sciu.pipeline.train.step.clip_tensors import ClipTensors, scores_of

CPU = torch.device("cpu")


def test_scores_come_back_by_clip_id() -> None:
    board = ClipTensors(5, 2, CPU)
    board.write(torch.tensor([3, 1]), torch.tensor([0.3, 0.1]), torch.tensor([[0.3, 0.7], [0.9, 0.1]]))
    board.write(torch.tensor([board.nobody]), torch.tensor([0.5]), torch.tensor([[0.5, 0.5]]))
    found = scores_of(board)
    assert found.ids.tolist() == [1, 3]
    assert found.weights.tolist() == pytest.approx([0.1, 0.3])
    assert found.probs == pytest.approx(np.array([[0.9, 0.1], [0.3, 0.7]]))


def test_nobody_has_no_label() -> None:
    board = ClipTensors(3, 2, CPU)
    board.take(np.array([1, -1, 0], np.int16))
    assert board.labels_N.tolist() == [1, -1, 0, -1]
    assert board.labels_N[board.nobody] == -1


@pytest.mark.parametrize(("balance", "ratio"), [("none", 1.0), ("sqrt", 3**0.5), ("inverse", 3.0)])
def test_rare_classes_weigh_more_and_the_mean_stays(balance: str, ratio: float) -> None:
    labels = np.array([0, 0, 0, 1, -1, -1], np.int16)
    board = ClipTensors(6, 2, CPU, balance=balance)
    board.take(labels)
    weights = board.class_weight_K
    assert float(weights[1] / weights[0]) == pytest.approx(ratio)
    assert float(weights[labels[labels >= 0]].mean()) == pytest.approx(1.0)


def test_the_first_step_without_a_number_is_noted() -> None:
    board = ClipTensors(2, 2, CPU)
    labels, right = torch.tensor([0, -1]), torch.tensor([True, True])
    for loss in (1.0, 2.0, float("nan"), float("inf"), 3.0):
        board.count(torch.tensor([loss, 0.0]), right, labels)
    assert int(board.bad_step) == 2
    board.clear()
    assert int(board.bad_step) == -1
    board.count(torch.tensor([4.0, 0.0]), right, labels)
    assert board.sums.tolist() == [4.0, 1.0, 1.0]
