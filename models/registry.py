"""Backbones by name, registered or a user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sciu.models.backbones.former_dfer import FormerDfer
from sciu.models.backbones.resnet_lstm import resnet18_lstm, resnet50_lstm
from sciu.models.backbones.tiny_lstm import TinyLstm
from sciu.models.backbones.vgg_lstm import vgg13_lstm, vgg16_lstm
from sciu.models.backbones.vit_lstm import vit_lstm
from sciu.models.errors import ModelError
from sciu.models.own import build_own


@dataclass(frozen=True)
class Entry:
    """A backbone, the size of frames it is meant for, and the torchvision network inside it, if any."""

    build: Callable[[], nn.Module]
    size: int
    about: str
    imagenet: str | None = None


REGISTRY: dict[str, Entry] = {
    "tiny_lstm": Entry(TinyLstm, 64, "small CNN + LSTM, for CPUs, demonstrations and tests"),
    "resnet18_lstm": Entry(resnet18_lstm, 112, "ResNet-18 + 3-layer LSTM", "resnet18"),
    "resnet50_lstm": Entry(resnet50_lstm, 112, "ResNet-50 + 3-layer LSTM", "resnet50"),
    "vgg13_lstm": Entry(vgg13_lstm, 112, "VGG-13 + 3-layer LSTM", "vgg13_bn"),
    "vgg16_lstm": Entry(vgg16_lstm, 112, "VGG-16 + 3-layer LSTM", "vgg16_bn"),
    "vit_lstm": Entry(vit_lstm, 224, "ViT-B/16 class tokens + 3-layer LSTM", "vit_b_16"),
    "former_dfer": Entry(FormerDfer, 112, "Former-DFER: ResNet-18 with spatial and temporal transformers"),
}

_COUNTED = 64  # clips: what is done once a batch hardly counts


def build_backbone(name: str) -> nn.Module:
    """Build a backbone by its name, or a user's own: `package.module:Class` or `path/to/file.py:Class`."""
    if name in REGISTRY:
        return REGISTRY[name].build()
    if ":" in name:
        return build_own(name)
    close = get_close_matches(name, REGISTRY, n=3)
    hint = f"Did you mean {' or '.join(close)}?" if close else "Give your own as package.module:Class or file.py:Class."
    raise ModelError(f"backbone must be one of {list(REGISTRY)}, but is {name!r}. {hint}")


def frame_size(name: str) -> int:
    """Return the frame size that a backbone is meant for; for a user's own, its `frame_size` or 112."""
    return REGISTRY[name].size if name in REGISTRY else int(getattr(build_backbone(name), "frame_size", 112))


def describe(name: str, frames: int = 16) -> dict[str, Any]:
    """Count a backbone's parameters, and the operations of a forward pass for each clip, without allocating memory.

    LSTMs are not counted: beside the image networks they are a few per cent at most.
    """
    size, about = frame_size(name), REGISTRY[name].about if name in REGISTRY else "your own"
    with torch.device("meta"):
        backbone = build_backbone(name).eval()
        clips = torch.empty(_COUNTED, frames, 3, size, size)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        backbone(clips)
    parameters = sum(parameter.numel() for parameter in backbone.parameters())
    flops = counter.get_total_flops() // _COUNTED
    return {"name": name, "about": about, "size": size, "parameters": parameters, "flops": flops}
