"""The optimiser with its state allocated in advance takes the same steps, bit for bit, as torch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.step.average import Average
from sciu.pipeline.train.step.optimiser import lr_of, make_optimiser, state_of

OWN: dict[str, Any] = {
    "sgd": lambda weights: torch.optim.SGD(weights, 0.1, momentum=0.9, weight_decay=0.01, fused=True),
    "adamw": lambda weights: torch.optim.AdamW(weights, 0.1, weight_decay=0.01, fused=True),
}


@pytest.mark.parametrize("name", list(OWN))
def test_the_same_way_as_torchs_own(name: str) -> None:
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    other.load_state_dict(one.state_dict())
    ours = make_optimiser(one.parameters(), Settings(optimiser=name, weight_decay=0.01), torch.device("cpu"))
    theirs = OWN[name](other.parameters())
    assert not any(value.any() for value in state_of(ours).values())
    lr_of(ours).fill_(0.1)
    for _ in range(4):
        given = torch.randn(5, 3)
        for network, optimiser in ((one, ours), (other, theirs)):
            optimiser.zero_grad()
            network(given).square().sum().backward()
            optimiser.step()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_the_average_follows_and_stands_in() -> None:
    network = nn.Linear(1, 1, bias=False)
    weight = next(network.parameters())
    weight.data.fill_(0.0)
    average = Average(network, 0.5)
    weight.data.fill_(1.0)
    average.follow()
    address = weight.data_ptr()
    with average.in_place():
        assert weight.item() == pytest.approx(9 / 11), "a young average follows faster than its decay says"
    for _ in range(20):
        weight.data.fill_(0.0)
        average.follow()
    with average.in_place():
        before = weight.item()
    average.follow()
    with average.in_place():
        assert weight.item() == pytest.approx(before / 2), "an old one by its decay"
    assert weight.item() == 0.0
    assert weight.data_ptr() == address


def test_the_statistics_of_batchnorm_are_averaged_too() -> None:
    norm = nn.BatchNorm1d(2)
    average = Average(nn.Sequential(nn.Linear(2, 2), norm), 0.99)
    assert norm.running_mean is not None
    norm.running_mean.fill_(11.0)
    average.follow()
    with average.in_place():
        assert norm.running_mean.tolist() == pytest.approx([9.0, 9.0])
    assert [len(values) for values in average.statistics] == [2, 2]
    assert set(average.tensors()) == {*map(str, range(6)), "steps"}


def test_no_average_costs_nothing() -> None:
    network = nn.Linear(1, 1)
    average = Average(network, 0.0)
    average.follow()
    with average.in_place():
        assert not average.tensors()
