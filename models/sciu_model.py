"""A backbone with a classifier and a weight head: how sure the network is that a clip is worth learning from."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from sciu.models.errors import ModelError

WeightHead = Literal["mlp", "linear", "none"]
"""mlp: two layers, SCIU (Eq. 1). linear: one layer, SCN. none: every weight is 1, plain training."""

_HIDDEN = 128


class Output(NamedTuple):
    """What a forward pass gives for each clip."""

    logits_BK: Tensor
    weight_B: Tensor  # 0 to 1
    embedding_BD: Tensor


class SciuModel(nn.Module):
    """Clip [B, T, 3, H, W] -> logits, weight, embedding; the weight head branches off and alters nothing."""

    def __init__(self, backbone: nn.Module, num_classes: int, weight_head: WeightHead = "mlp") -> None:
        super().__init__()
        if num_classes < 2:
            raise ModelError(f"`num_classes` must be at least 2, but is {num_classes}.")
        width = int(backbone.embedding_size)  # type: ignore[arg-type] # a Module's attributes are typed as Modules
        self.backbone = backbone
        self.classifier = nn.Linear(width, num_classes)
        self.weight_head = _weight_head(weight_head, width)

    def forward(self, clip_BTCHW: Tensor) -> Output:
        """Classify and weigh."""
        embedding_BD = self.backbone(clip_BTCHW)
        if embedding_BD.shape != (len(clip_BTCHW), self.classifier.in_features):
            expected = (len(clip_BTCHW), self.classifier.in_features)
            raise ModelError(
                f"the backbone's embedding must be [B, D] = {expected}, but is {tuple(embedding_BD.shape)}."
            )
        logits_BK = self.classifier(embedding_BD)
        if self.weight_head is None:
            return Output(logits_BK, torch.ones_like(logits_BK[:, 0]), embedding_BD)
        return Output(logits_BK, torch.sigmoid(self.weight_head(embedding_BD)).squeeze(1), embedding_BD)


def _weight_head(kind: WeightHead, width: int) -> nn.Module | None:
    if kind == "mlp":
        return nn.Sequential(nn.Linear(width, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1))
    if kind == "linear":
        return nn.Linear(width, 1)
    if kind == "none":
        return None
    raise ModelError(f"`weight_head` must be mlp, linear or none, but is {kind!r}.")
