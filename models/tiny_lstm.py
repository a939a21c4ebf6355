"""A small CNN and an LSTM: for CPUs, demonstrations and tests. 0.2 million parameters, any frame size from 32 px."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_CHANNELS = (16, 32, 48, 64)
_HIDDEN = 96


class TinyLstm(nn.Module):
    """Clip [B, T, 3, H, W] -> embedding [B, 96]."""

    embedding_size = _HIDDEN

    def __init__(self) -> None:
        super().__init__()
        widths = (3, *_CHANNELS)
        self.cnn = nn.Sequential(*(_halve(given, made) for given, made in zip(widths, _CHANNELS, strict=False)))
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.squeeze = nn.Linear(16 * _CHANNELS[-1], _HIDDEN)
        self.lstm = nn.LSTM(_HIDDEN, _HIDDEN, batch_first=True)

    def forward(self, clip_BTCHW: Tensor) -> Tensor:
        """Return the mean of the LSTM's states: an apex counts wherever in the clip it lies."""
        B, T = clip_BTCHW.shape[:2]
        frames = clip_BTCHW.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        features_BTD = torch.relu(self.squeeze(self.pool(self.cnn(frames)).flatten(1))).view(B, T, -1)
        states_BTD: Tensor = self.lstm(features_BTD)[0]
        return states_BTD.mean(dim=1)


def _halve(given: int, made: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(given, made, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(made), nn.ReLU(inplace=True)
    )
