"""What CNN and ViT backbones share: an image network over all frames at once, then an LSTM over their features."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from sciu.models.backbones.contract import check_clip

HIDDEN, LAYERS = 256, 3  # as in DFEW's own baselines


class LstmOverFrames(nn.Module):
    """Clip [B, T, 3, H, W] -> embedding [B, 256], the LSTM's last state."""

    embedding_size = HIDDEN

    smallest = 32  # below, nothing is left after the five halvings of a ResNet or VGG

    def __init__(self, image_network: nn.Module, features: int) -> None:
        super().__init__()
        self.image_network = image_network.to(memory_format=torch.channels_last)
        self.lstm = nn.LSTM(features, HIDDEN, num_layers=LAYERS, batch_first=True)

    def forward(self, clip_BTCHW: Tensor) -> Tensor:
        """Return the state after the last frame."""
        check_clip(clip_BTCHW, smallest=self.smallest)
        B, T = clip_BTCHW.shape[:2]
        frames = clip_BTCHW.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        features_BTD = self.image_network(frames).view(B, T, -1)
        return in_float32(self.lstm, features_BTD)[:, -1]


def in_float32(lstm: nn.LSTM, features_BTD: Tensor) -> Tensor:
    """Return an LSTM's states, in float32 also under autocast.

    Under bf16 autocast cuDNN's LSTM still runs in fp16, where small gradients become 0 without a scaled loss. It is
    0.4 % of the operations.
    """
    device = features_BTD.device.type
    with nullcontext() if device == "meta" else torch.autocast(device, enabled=False):
        states_BTD: Tensor = lstm(features_BTD.to(next(lstm.parameters()).dtype))[0]
    return states_BTD


def without(module: Any, attribute: str) -> nn.Module:
    """Remove a torchvision network's classifier, so that it returns the features."""
    setattr(module, attribute, nn.Identity())
    network: nn.Module = module
    return network
