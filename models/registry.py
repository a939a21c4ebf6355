"""Backbones by name, ours and anybody's own."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
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


def build_backbone(name: str) -> nn.Module:
    """Build a backbone by its name, or a user's own: `package.module:Class` or `path/to/file.py:Class`."""
    if name in REGISTRY:
        return REGISTRY[name].build()
    if ":" in name:
        return _check_contract(_load_own(name)(), name)
    close = get_close_matches(name, REGISTRY, n=3)
    hint = f"Did you mean {' or '.join(close)}?" if close else "Your own is package.module:Class."
    raise ModelError(f"backbone must be one of {list(REGISTRY)}, but is {name!r}. {hint}")


def _load_own(name: str) -> Callable[[], Any]:
    place, _, attribute = name.rpartition(":")
    try:
        module = _import_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except (ImportError, OSError, SyntaxError) as error:
        raise ModelError(f"backbone {name!r} cannot be imported: {error}. Is it on PYTHONPATH?") from error
    found = getattr(module, attribute, None)
    if not callable(found):
        raise ModelError(f"backbone {name!r} must be a class or function, but {place} has no such {attribute!r}.")
    own: Callable[[], Any] = found
    return own


def _import_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"'{path}' is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _check_contract(backbone: Any, name: str) -> nn.Module:
    """Refuse what cannot be a backbone; its output is held against its promise in `SciuModel`."""
    if not isinstance(backbone, nn.Module):
        raise ModelError(f"backbone {name!r} must be a torch.nn.Module, but is a {type(backbone).__name__}.")
    width = getattr(backbone, "embedding_size", None)
    if not isinstance(width, int) or width < 1:
        raise ModelError(f"backbone {name!r} must have an `embedding_size`, the D of its [B, D], but has {width!r}.")
    return backbone


def describe(name: str, frames: int = 16) -> dict[str, Any]:
    """Count a backbone's parameters, and the operations of a forward pass over one clip; no memory is taken.

    LSTMs are not in the count: next to the image networks they are a few per cent at most.
    """
    entry = REGISTRY[name]
    with torch.device("meta"):
        backbone = entry.build().eval()
        clip = torch.empty(1, frames, 3, entry.size, entry.size)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        backbone(clip)
    parameters = sum(parameter.numel() for parameter in backbone.parameters())
    flops = counter.get_total_flops()
    return {"name": name, "about": entry.about, "size": entry.size, "parameters": parameters, "flops": flops}
