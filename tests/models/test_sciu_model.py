"""The weight head branches off the embedding and alters nothing."""

from __future__ import annotations

import pytest
import torch

from sciu.models.backbones.tiny_lstm import TinyLstm
from sciu.models.errors import ModelError
from sciu.models.sciu_model import SciuModel, WeightHead

CLIPS = torch.rand(4, 3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("head", ["mlp", "linear", "none"])
def test_logits_are_those_of_the_plain_backbone(head: WeightHead) -> None:
    model = SciuModel(TinyLstm(), 7, head).eval()
    output = model(CLIPS)
    plain = torch.nn.Sequential(model.backbone, model.classifier)(CLIPS)
    assert torch.equal(output.logits_BK, plain)
    assert torch.equal(output.embedding_BD, model.backbone(CLIPS))
    assert output.weight_B.shape == (4,)
    assert bool(((output.weight_B >= 0) & (output.weight_B <= 1)).all())


def test_the_heads_are_those_of_the_papers() -> None:
    shapes = {kind: [tuple(p.shape) for p in heads(kind)] for kind in ("mlp", "linear", "none")}
    assert shapes == {"mlp": [(128, 96), (128,), (1, 128), (1,)], "linear": [(1, 96), (1,)], "none": []}
    assert torch.equal(SciuModel(TinyLstm(), 7, "none")(CLIPS).weight_B, torch.ones(4))


def heads(kind: WeightHead) -> list[torch.Tensor]:
    model = SciuModel(TinyLstm(), 7, kind)
    return [parameter for name, parameter in model.named_parameters() if name.startswith("weight_head")]


def test_weights_do_not_depend_on_the_batch() -> None:
    model = SciuModel(TinyLstm(), 7).eval()
    torch.testing.assert_close(model(CLIPS).weight_B[1:2], model(CLIPS[1:2]).weight_B)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ModelError, match="`num_classes` must be a whole number of at least 2, but is 1"):
        SciuModel(TinyLstm(), 1)
    with pytest.raises(ModelError, match="`weight_head` must be mlp, linear or none, but is 'big'"):
        SciuModel(TinyLstm(), 7, "big")  # type: ignore[arg-type]


def test_weights_keep_their_slope_under_autocast() -> None:
    """In bf16 a sigmoid is exactly 1 from 7 on, with no way back."""
    model = SciuModel(TinyLstm(), 7, "linear")
    assert isinstance(model.weight_head, torch.nn.Linear)
    torch.nn.init.constant_(model.weight_head.bias, 8.0)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(CLIPS)
    assert output.weight_B.dtype == output.logits_BK.dtype == torch.float32
    output.weight_B.sum().backward()
    assert model.weight_head.bias.grad is not None
    assert model.weight_head.bias.grad.item() > 0
