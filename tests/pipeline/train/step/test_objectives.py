"""Each method has its loss."""

from __future__ import annotations

import pytest
import torch

from sciu.models.losses.cross_entropy import weighted_cross_entropy
from sciu.models.sciu_model import Output
from sciu.pipeline.train.config.methods import METHODS
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.step.clip_tensors import BatchTargets
from sciu.pipeline.train.step.objectives import objective_of

OUTPUT = Output(torch.randn(6, 4), torch.rand(6), torch.randn(6, 8))
LABELS = torch.tensor([0, 1, 2, 3, -1, -1])
PULL = (LABELS >= 0).float()
AVERAGE = torch.eye(4)[LABELS.clamp_min(0)] * 0.7
LESSON = BatchTargets(LABELS, PULL, AVERAGE)


@pytest.mark.parametrize("method", list(METHODS))
def test_a_clip_that_is_scored_only_has_no_loss(method: str) -> None:
    losses = objective_of(Settings(method=method))(OUTPUT, LESSON)
    assert losses.shape == (6,)
    assert losses[4:].tolist() == [0, 0]
    assert (losses[:4] != 0).all()


def test_sciu_and_scn_weigh_and_scn_ranks() -> None:
    weighted = weighted_cross_entropy(OUTPUT.logits_BK, OUTPUT.weight_B, LABELS)
    assert torch.equal(objective_of(Settings(method="sciu"))(OUTPUT, LESSON), weighted)
    ranked = objective_of(Settings(method="scn", rank_margin=1.0))(OUTPUT, LESSON)
    assert (ranked - weighted)[:4].std() < 1e-6
    assert (ranked - weighted)[0] > 0.1


@pytest.mark.parametrize("method", ["auto", "elr"])
def test_auto_and_elr_pull_to_what_the_network_said_before(method: str) -> None:
    """Twice the pull of a clip pulls twice as much; no pull leaves cross entropy."""
    loss = objective_of(Settings(method=method))
    plain = objective_of(Settings(method="plain"))(OUTPUT, LESSON)
    assert torch.equal(loss(OUTPUT, BatchTargets(LABELS, torch.zeros(6), AVERAGE)), plain)
    once = loss(OUTPUT, LESSON) - plain
    assert torch.allclose(loss(OUTPUT, BatchTargets(LABELS, 2 * PULL, AVERAGE)) - plain, 2 * once, atol=1e-6)
