"""Each method has its weight head, its loss and its policy."""

from __future__ import annotations

import pytest
import torch

from sciu.models.losses.cross_entropy import weighted_cross_entropy
from sciu.models.sciu_model import Output
from sciu.pipeline.train.methods import WEIGHT_HEADS, objective, policy
from sciu.pipeline.train.settings import METHODS, Settings
from sciu.purification import Keep, Sciu, Scn

OUTPUT = Output(torch.randn(6, 4), torch.rand(6), torch.randn(6, 8))
LABELS = torch.tensor([0, 1, 2, 3, -1, -1])


@pytest.mark.parametrize("method", METHODS)
def test_a_clip_that_is_scored_only_has_no_loss(method: str) -> None:
    losses = objective(Settings(method=method))(OUTPUT, LABELS)
    assert losses.shape == (6,)
    assert losses[4:].tolist() == [0, 0]
    assert (losses[:4] > 0).all()


def test_sciu_and_scn_weigh_and_scn_ranks() -> None:
    weighted = weighted_cross_entropy(OUTPUT.logits_BK, OUTPUT.weight_B, LABELS)
    assert torch.equal(objective(Settings(method="sciu"))(OUTPUT, LABELS), weighted)
    ranked = objective(Settings(method="scn", rank_margin=1.0))(OUTPUT, LABELS)
    assert (ranked - weighted)[:4].std() < 1e-6
    assert (ranked - weighted)[0] > 0.1


def test_policies() -> None:
    assert policy(Settings(prune_below=0.6, window=2)) == Sciu(prune_below=0.6, window=2)
    assert policy(Settings(cgp=False, fgc=False)) == Sciu(prune_below=None, correct_above=None)
    assert policy(Settings(method="scn", relabel_above=0.3, warmup=4)) == Scn(relabel_above=0.3, warmup=4)
    assert all(isinstance(policy(Settings(method=method)), Keep) for method in ("plain", "sce", "mae"))
    assert {method: head for method, head in WEIGHT_HEADS.items() if head != "none"} == {"sciu": "mlp", "scn": "linear"}
