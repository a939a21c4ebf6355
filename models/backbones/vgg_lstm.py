"""VGG + LSTM: the 4,096 features before the last layer of each frame, then an LSTM over the frames.

These are the variants with batch normalisation: without it VGG hardly trains from scratch.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision.models import vgg13_bn, vgg16_bn

from sciu.models.backbones.lstm import LstmOverFrames


def vgg13_lstm() -> nn.Module:
    """VGG-13."""
    return LstmOverFrames(_features_of(vgg13_bn()), features=4096)


def vgg16_lstm() -> nn.Module:
    """VGG-16."""
    return LstmOverFrames(_features_of(vgg16_bn()), features=4096)


def _features_of(vgg: Any) -> nn.Module:
    vgg.classifier[-1] = nn.Identity()
    network: nn.Module = vgg
    return network
