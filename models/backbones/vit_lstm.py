"""ViT-B/16 + LSTM: the class token of each frame, then an LSTM over the frames."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import vit_b_16

from sciu.models.backbones.contract import check_clip
from sciu.models.backbones.lstm import LstmOverFrames, without
from sciu.models.errors import ModelError

SIZE = 224


class VitLstm(LstmOverFrames):
    """ViT-B/16 over frames of 224 x 224, the size its position embedding is made for."""

    def __init__(self) -> None:
        super().__init__(without(vit_b_16(), "heads"), features=768)

    def forward(self, clip_BTCHW: Tensor) -> Tensor:
        """Return the state after the last frame."""
        check_clip(clip_BTCHW, smallest=1)
        if clip_BTCHW.shape[-2:] != (SIZE, SIZE):
            raise ModelError(f"frames of vit_lstm must be {SIZE} x {SIZE}, but are {tuple(clip_BTCHW.shape[-2:])}.")
        return super().forward(clip_BTCHW)


def vit_lstm() -> nn.Module:
    """ViT-B/16, 768 features a frame."""
    return VitLstm()
