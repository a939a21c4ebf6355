"""Pretrained weights: whose file it is shows in its tensor names, and what became of every tensor is told."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sciu.models.errors import ModelError
from sciu.models.registry import REGISTRY

# Former-DFER's released checkpoints name their tensors after the wrappers of their code. (pattern, ours)
_FORMER_DFER = (
    (r"^s_former\.conv1\.", "backbone.spatial.stem.0."),
    (r"^s_former\.bn1\.", "backbone.spatial.stem.1."),
    (r"^s_former\.layer1\.", "backbone.spatial.stages.0."),
    (r"^s_former\.layer2\.", "backbone.spatial.stages.1."),
    (r"^s_former\.layer3\.", "backbone.spatial.stages.2."),
    (r"^s_former\.layer4\.", "backbone.spatial.last_stage."),
    (r"^s_former\.pos_embedding$", "backbone.spatial.position"),
    (r"^s_former\.spatial_transformer\.layers\.0\.", "backbone.spatial.block."),
    (r"^t_former\.cls_token$", "backbone.temporal.class_token"),
    (r"^t_former\.pos_embedding$", "backbone.temporal.position"),
    (r"^t_former\.spatial_transformer\.layers\.(\d)\.", r"backbone.temporal.blocks.\1."),
    (r"\.0\.fn\.norm\.", ".norm_attention."),
    (r"\.0\.fn\.fn\.to_qkv\.", ".qkv."),
    (r"\.0\.fn\.fn\.to_out\.0\.", ".out."),
    (r"\.1\.fn\.norm\.", ".norm_mlp."),
    (r"\.1\.fn\.fn\.net\.0\.", ".mlp.0."),
    (r"\.1\.fn\.fn\.net\.3\.", ".mlp.2."),
    (r"^fc\.", "classifier."),
)
# Where a file's tensors may belong: a whole model, a backbone, or a torchvision image network.
_PLACES = ("", "backbone.", "backbone.image_network.")


@dataclass(frozen=True)
class Loaded:
    """What became of the tensors of a file and of the model."""

    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # in the model only: they keep their random start
    unexpected: list[str] = field(default_factory=list)  # in the file only
    wrong_shape: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} tensors loaded"]
        for name in ("missing", "unexpected", "wrong_shape"):
            tensors: list[str] = getattr(self, name)
            if tensors:
                parts.append(f"{len(tensors)} {name.replace('_', ' of ')}: {', '.join(tensors)}")
        return "; ".join(parts)


def load_weights(model: nn.Module, path: Path) -> Loaded:
    """Load a torch or safetensors file into a model; code inside a file is never run."""
    return place_tensors(model, _read(path), f"'{path}'")


def load_imagenet(model: nn.Module, backbone: str) -> Loaded:
    """Load torchvision's ImageNet weights into the image network; they are downloaded unless torch has them cached."""
    from torchvision.models import get_model_weights

    network = REGISTRY[backbone].imagenet if backbone in REGISTRY else None
    if network is None:
        raise ModelError(f"backbone {backbone!r} has no ImageNet weights. Leave --weights out, or give a file.")
    try:
        tensors = get_model_weights(network).DEFAULT.get_state_dict(progress=False)
    except OSError as error:
        raise ModelError(
            f"{network}'s ImageNet weights cannot be downloaded: {error}. Give --weights a file."
        ) from error
    return place_tensors(model, tensors, f"torchvision's {network}")


def place_tensors(model: nn.Module, tensors: dict[str, Tensor], source: str) -> Loaded:
    """Put tensors where they fit; none at all is an error, for a wrong file must not look like a pretrained model."""
    wanted = model.state_dict()
    named = _in_our_names(tensors, wanted)
    shared = [name for name in named if name in wanted]
    fitting = [name for name in shared if named[name].shape == wanted[name].shape]
    if not fitting:
        raise ModelError(
            f"{source} must hold tensors of this model, like '{next(iter(wanted))}', but holds"
            f" '{next(iter(tensors), 'nothing')}' and {len(tensors)} in all. Is it for another backbone?"
        )
    model.load_state_dict({name: named[name] for name in fitting}, strict=False)
    return Loaded(
        loaded=fitting,
        missing=[name for name in wanted if name not in named],
        unexpected=[name for name in named if name not in wanted],
        wrong_shape=[name for name in shared if name not in fitting],
    )


def _read(path: Path) -> dict[str, Tensor]:
    try:
        content: Any = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"weights '{path}' are not there. Correct the path.") from None
    except Exception as error:
        raise ModelError(f"weights '{path}' cannot be read: {' '.join(str(error).split())[:200]}") from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    tensors = (
        {name: value for name, value in content.items() if isinstance(value, Tensor)}
        if isinstance(content, dict)
        else {}
    )
    return {name.removeprefix("module."): value for name, value in tensors.items()}


def _in_our_names(tensors: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    if any(name.startswith("s_former.") for name in tensors):
        return {_translate(name): value for name, value in tensors.items()}
    place = max(_PLACES, key=lambda prefix: sum(prefix + name in wanted for name in tensors))
    return {place + name: value for name, value in tensors.items()}


def _translate(name: str) -> str:
    for pattern, ours in _FORMER_DFER:
        name = re.sub(pattern, ours, name)
    return name
