"""A backbone with a classifier and a weight head, which predicts how much a clip is worth learning from."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from sciu.models.errors import ModelError

WeightHead = Literal["mlp", "linear", "none"]
"""mlp: two layers, SCIU (Eq. 1). linear: one layer, SCN. none: every clip weight is 1, plain training."""

_HIDDEN = 128


class Output(NamedTuple):
    """The outputs of a forward pass for each clip."""

    logits_BK: Tensor
    weight_B: Tensor  # 0 to 1
    embedding_BD: Tensor


class SciuModel(nn.Module):
    """Clip [B, T, 3, H, W] -> logits, weight, embedding; the weight head is a branch that changes no logit."""

    def __init__(self, backbone: nn.Module, num_classes: int, weight_head: WeightHead = "mlp") -> None:
        super().__init__()
        if num_classes != int(num_classes) or num_classes < 2:
            raise ModelError(f"`num_classes` must be a whole number of at least 2, but is {num_classes!r}.")
        width = int(backbone.embedding_size)  # type: ignore[arg-type] # a Module's attributes are typed as Modules
        self.backbone = backbone
        self.classifier = nn.Linear(width, num_classes)
        self.weight_head = _weight_head(weight_head, width)

    def forward(self, clip_BTCHW: Tensor) -> Output:
        """Classify and weigh in float32, also under autocast: bf16 has no weight between .996 and 1, and no slope."""
        embedding_BD = self._embed(clip_BTCHW)
        with torch.autocast(embedding_BD.device.type, enabled=False):
            features_BD = embedding_BD.to(self.classifier.weight.dtype)
            logits_BK = self.classifier(features_BD)
            if self.weight_head is None:
                return Output(logits_BK, torch.ones_like(logits_BK[:, 0]), embedding_BD)
            return Output(logits_BK, torch.sigmoid(self.weight_head(features_BD)).squeeze(1), embedding_BD)

    def _embed(self, clip_BTCHW: Tensor) -> Tensor:
        embedding_BD: Tensor = self.backbone(clip_BTCHW)
        expected = (
            clip_BTCHW.shape[0],
            self.classifier.in_features,
        )  # len() is a constant once exported
        if not isinstance(embedding_BD, Tensor):
            raise ModelError(f"the backbone's embedding must be a tensor, but is a {type(embedding_BD).__name__}.")
        if embedding_BD.shape != expected:
            found = tuple(embedding_BD.shape)
            raise ModelError(f"the backbone's embedding must be [B, D] = {expected}, but is {found}.")
        return embedding_BD


def _weight_head(kind: WeightHead, width: int) -> nn.Module | None:
    if kind == "mlp":
        return nn.Sequential(nn.Linear(width, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1))
    if kind == "linear":
        return nn.Linear(width, 1)
    if kind == "none":
        return None
    raise ModelError(f"`weight_head` must be mlp, linear or none, but is {kind!r}.")
