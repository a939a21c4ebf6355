"""Each method has its weight head, its loss and its policy."""

from __future__ import annotations

import pytest
import torch

from sciu.models.losses.cross_entropy import weighted_cross_entropy
from sciu.models.sciu_model import Output
from sciu.pipeline.train.config.settings import METHODS, Settings
from sciu.pipeline.train.step.board import Lesson
from sciu.pipeline.train.step.methods import WEIGHT_HEADS, objective, policy
from sciu.purification import Auto, Elr, Keep, Sciu, Scn

OUTPUT = Output(torch.randn(6, 4), torch.rand(6), torch.randn(6, 8))
LABELS = torch.tensor([0, 1, 2, 3, -1, -1])
PULL = (LABELS >= 0).float()
AVERAGE = torch.eye(4)[LABELS.clamp_min(0)] * 0.7
LESSON = Lesson(LABELS, PULL, AVERAGE)


@pytest.mark.parametrize("method", METHODS)
def test_a_clip_that_is_scored_only_has_no_loss(method: str) -> None:
    losses = objective(Settings(method=method))(OUTPUT, LESSON)
    assert losses.shape == (6,)
    assert losses[4:].tolist() == [0, 0]
    assert (losses[:4] != 0).all()


def test_sciu_and_scn_weigh_and_scn_ranks() -> None:
    weighted = weighted_cross_entropy(OUTPUT.logits_BK, OUTPUT.weight_B, LABELS)
    assert torch.equal(objective(Settings(method="sciu"))(OUTPUT, LESSON), weighted)
    ranked = objective(Settings(method="scn", rank_margin=1.0))(OUTPUT, LESSON)
    assert (ranked - weighted)[:4].std() < 1e-6
    assert (ranked - weighted)[0] > 0.1


@pytest.mark.parametrize("method", ["auto", "elr"])
def test_auto_and_elr_pull_to_what_the_network_said_before(method: str) -> None:
    """As far as each clip's pull goes: twice of it pulls twice as much, none leaves cross entropy."""
    loss = objective(Settings(method=method))
    plain = objective(Settings(method="plain"))(OUTPUT, LESSON)
    assert torch.equal(loss(OUTPUT, Lesson(LABELS, torch.zeros(6), AVERAGE)), plain)
    once = loss(OUTPUT, LESSON) - plain
    assert torch.allclose(loss(OUTPUT, Lesson(LABELS, 2 * PULL, AVERAGE)) - plain, 2 * once, atol=1e-6)


def test_policies() -> None:
    assert policy(Settings(method="elr", pull=2.0)) == Elr(pull=2.0)
    auto = policy(Settings(method="auto", epochs=25, sure=0.95))
    assert auto == Auto(act_after=5, sure=0.95)
    assert policy(Settings(method="sciu", prune_below=0.6, window=2)) == Sciu(prune_below=0.6, window=2)
    assert policy(Settings(method="sciu", cgp=False, fgc=False)) == Sciu(prune_below=None, correct_above=None)
    assert policy(Settings(method="scn", relabel_above=0.3, warmup=4)) == Scn(relabel_above=0.3, warmup=4)
    assert all(isinstance(policy(Settings(method=method)), Keep) for method in ("plain", "sce", "mae"))
    assert {method: head for method, head in WEIGHT_HEADS.items() if head != "none"} == {"sciu": "mlp", "scn": "linear"}
