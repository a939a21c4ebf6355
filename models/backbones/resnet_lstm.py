"""ResNet + LSTM: the features of each frame before the classifier, then an LSTM over the frames."""

from __future__ import annotations

from torch import nn
from torchvision.models import resnet18, resnet50

from sciu.models.backbones.lstm import LstmOverFrames, without


def resnet18_lstm() -> nn.Module:
    """ResNet-18, 512 features a frame."""
    return LstmOverFrames(without(resnet18(), "fc"), features=512)


def resnet50_lstm() -> nn.Module:
    """ResNet-50, 2,048 features a frame."""
    return LstmOverFrames(without(resnet50(), "fc"), features=2048)
