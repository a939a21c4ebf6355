"""Pretrained weights: tensor names show which network a file is for, and every tensor is accounted for."""

from __future__ import annotations

import http.client
import json
import pickle
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from sciu.models.errors import ModelError
from sciu.models.registry import REGISTRY
from sciu.models.torch_file import read_torch, reason_of

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
# torchvision's ViT file is older than its code.
_VIT = ((r"\.mlp\.linear_1\.", ".mlp.0."), (r"\.mlp\.linear_2\.", ".mlp.3."))
_WRAPPERS = ("module", "_orig_mod")  # of DataParallel and torch.compile
_PLACES = ("", "backbone.", "backbone.image_network.")  # a whole model, a backbone, a torchvision image network
_CLASSIFIER = "classifier."
_HEADS = (_CLASSIFIER, "weight_head.")  # whose shapes may differ: other classes, another method
_ENOUGH = 0.9  # of the parameters of the part that a file is for; a file for another network fits in places too


@dataclass(frozen=True)
class Loaded:
    """Which tensors of a file were loaded into the model, and which were not."""

    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # in the model only: they keep their random values
    unexpected: list[str] = field(default_factory=list)  # in the file only
    wrong_shape: list[str] = field(default_factory=list)
    other_classes: list[str] = field(default_factory=list)  # of a classifier that is not for the model's classes
    remark: str = ""  # what was done about the classes

    def __str__(self) -> str:
        groups = {
            "missing": self.missing, "unexpected": self.unexpected, "of another shape": self.wrong_shape,
            "not loaded": self.other_classes,
        }  # fmt: skip
        parts = [f"{len(names)} {what} ({_some(names)})" for what, names in groups.items() if names]
        return "; ".join([f"{len(self.loaded)} tensors loaded", *parts, *filter(None, [self.remark])])


@dataclass(frozen=True)
class Classes:
    """The classes that a model's outputs stand for, and those that a file's stand for, None if nobody knows."""

    model: Sequence[str]
    file: Sequence[str] | None = None


def load_weights(model: nn.Module, path: Path | str, classes: Classes | None = None) -> Loaded:
    """Load a torch or safetensors file into a model; code inside a file is never run.

    With `classes` the classifier is loaded for the model's classes, or not at all: checkpoints of a training name
    theirs, `classes.file` is for files that do not. Without, it is loaded as it is, where its shape fits.
    """
    content = _read(Path(path).expanduser())
    if classes and (named := _find_classes(content)):
        classes = Classes(classes.model, named)
    return place_tensors(model, _find_tensors(content), f"'{path}'", classes)


def load_imagenet(model: nn.Module, backbone: str) -> Loaded:
    """Load torchvision's ImageNet weights into the image network; they are downloaded unless torch has them cached."""
    from torchvision.models import get_model_weights

    network = REGISTRY[backbone].imagenet if backbone in REGISTRY else None
    if network is None:
        raise ModelError(f"backbone {backbone!r} has no ImageNet weights. Remove --weights, or give a file.")
    source: Any = get_model_weights(network).DEFAULT
    try:
        tensors = source.get_state_dict(progress=False, check_hash=True, weights_only=True, map_location="cpu")
    except (OSError, RuntimeError, EOFError, struct.error, pickle.UnpicklingError, http.client.HTTPException) as error:
        cached = Path(torch.hub.get_dir()) / "checkpoints" / source.url.rpartition("/")[2]
        broken = f" Remove the broken '{cached}'." if cached.exists() else ""
        raise ModelError(
            f"{network}'s ImageNet weights cannot be downloaded from {source.url}: {reason_of(error)}.{broken}"
            " Without a network, give --weights a file."
        ) from error
    return place_tensors(model, tensors, f"torchvision's {network}")


def place_tensors(model: nn.Module, tensors: dict[str, Tensor], source: str, classes: Classes | None = None) -> Loaded:
    """Load tensors where they fit; a file for another network is an error and changes nothing."""
    for name, value in tensors.items():
        _check_usable(name, value, source)
    wanted = model.state_dict()
    place, named = max(_namings(tensors), key=lambda naming: _fitting(naming[1], wanted))
    unexpected = [theirs for theirs, name in zip(tensors, named, strict=True) if name not in wanted]
    usable, remark = (named, "") if classes is None else _for_classes(named, classes)
    fitting = [name for name, value in usable.items() if name in wanted and value.shape == wanted[name].shape]
    wrong_shape = [name for name in usable if name in wanted and name not in fitting]
    _check_enough(place, fitting, wrong_shape, wanted, tensors, source)
    model.load_state_dict({name: usable[name] for name in fitting}, strict=False)
    return Loaded(
        loaded=fitting,
        missing=[name for name in wanted if name not in named],
        unexpected=unexpected,
        wrong_shape=wrong_shape,
        other_classes=[name for name in named if name not in usable],
        remark=remark,
    )


def _for_classes(named: dict[str, Tensor], classes: Classes) -> tuple[dict[str, Tensor], str]:
    """Return the tensors with a classifier for the model's classes, or without one, and what was done."""
    head = {name: value for name, value in named.items() if name.startswith(_CLASSIFIER)}
    if not head:
        return named, ""
    ours, theirs = [*classes.model], None if classes.file is None else [*classes.file]
    if theirs is None:
        remark = "the classifier was left out: nothing says which classes it is for"
    elif sorted(theirs) != sorted(ours) or any(value.shape[:1] != (len(theirs),) for value in head.values()):
        remark = f"the classifier was left out: it is for other classes{_difference(theirs, ours)}"
    elif theirs == ours:
        return named, ""
    else:
        order = [theirs.index(name) for name in ours]
        moved = {name: value[order] for name, value in head.items()}
        return {**named, **moved}, "the classifier's rows were put into the order of this dataset's classes"
    return {name: value for name, value in named.items() if name not in head}, remark


def _difference(theirs: list[str], ours: list[str]) -> str:
    there, here = ([name for name in one if name not in other] for one, other in ((theirs, ours), (ours, theirs)))
    return "".join(
        f", with {_some(names)} only {where}" for where, names in (("there", there), ("here", here)) if names
    )


def _check_usable(name: str, value: Tensor, source: str) -> None:
    dense = value.layout == torch.strided and value.numel() * value.itemsize <= value.untyped_storage().nbytes()
    if not dense or value.is_meta or value.is_quantized or value.is_complex():
        raise ModelError(
            f"tensor '{name}' of {source} must be dense real numbers, but is {value.dtype} {value.layout}."
        )
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise ModelError(f"tensor '{name}' of {source} must be finite, but holds NaN or infinity. Is the file damaged?")


def _namings(tensors: dict[str, Tensor]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield each place in the model that the tensors may belong to, and the tensors by their names there."""
    for names in (list(tensors), [_without_wrappers(name) for name in tensors]):
        ours = _in_our_words(names)
        if len(set(ours)) == len(ours):  # else two names have become one
            for place in _PLACES:
                yield place, {place + name: value for name, value in zip(ours, tensors.values(), strict=True)}


def _without_wrappers(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _in_our_words(names: list[str]) -> list[str]:
    former_dfer = any(name.startswith("s_former.") for name in names)
    patterns = _FORMER_DFER if former_dfer else _VIT
    for pattern, ours in patterns:
        names = [re.sub(pattern, ours, name) for name in names]
    return names


def _fitting(named: dict[str, Tensor], wanted: dict[str, Tensor]) -> int:
    return sum(v.numel() for name, v in named.items() if name in wanted and v.shape == wanted[name].shape)


def _check_enough(
    place: str, fitting: list[str], wrong: list[str], wanted: dict[str, Tensor], given: dict[str, Tensor], source: str
) -> None:
    """Raise an error unless the file fills most of the part that it is for: a few tensors may fit by accident."""
    part = place or "backbone."
    total = sum(value.numel() for name, value in wanted.items() if name.startswith(part)) or 1
    found = sum(wanted[name].numel() for name in fitting if name.startswith(part))
    misfits = [name for name in wrong if not name.startswith(_HEADS)]
    if found < _ENOUGH * total or misfits:
        example = next((name for name in wanted if name.startswith(part)), "")
        shapes = f" Wrong shape: {_some(misfits)}." if misfits else ""
        raise ModelError(
            f"{source} does not fit this network: its {len(given)} tensors, like '{next(iter(given), 'none')}',"
            f" fill {found / total:.0%} of '{part}', which has '{example}'.{shapes} Is it for another backbone"
            " (VGG: the variant with batch normalisation, `_bn`)?"
        )


# ---- files


class _Inert:
    """Stands for classes of other training codes in their checkpoints; it does nothing."""


def require_file(path: Path) -> None:
    """Raise if there is no file to load."""
    if not path.is_file():
        raise ModelError(f"weights '{path}' must be a file, but is missing or a folder. Correct the path.")


def _read(path: Path) -> Any:
    require_file(path)
    try:
        content = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    except Exception as error:
        reason = str(error) if isinstance(error, ModelError) else reason_of(error)
        raise ModelError(f"weights '{path}' cannot be read: {reason}.") from error
    if not _find_tensors(content):
        raise ModelError(f"weights '{path}' must hold tensors by name, but hold none. Save a `state_dict()`.")
    return content


def _read_safetensors(path: Path) -> dict[str, Any]:
    """Return the tensors, and the classes that a file of `sciu-export` records."""
    with safe_open(path, "np") as file:
        recorded = json.loads((file.metadata() or {}).get("sciu", "{}"))
    return {"model": load_file(path), "classes": recorded.get("classes")}


def _is_safetensors(path: Path) -> bool:
    """Check the content: a length of eight bytes, then JSON."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _read_torch(path: Path) -> Any:
    """Read a torch file. Former-DFER's code saves a `RecorderMeter` and its arrays beside the weights."""
    reconstruct: Any = np.array(0.0).__reduce__()[0]
    allowed: list[Any] = [
        (_Inert, "__main__.RecorderMeter"),
        (reconstruct, "numpy.core.multiarray._reconstruct"),
        (reconstruct, "numpy._core.multiarray._reconstruct"),
        np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in ("f4", "f8", "i8")),
    ]  # fmt: skip
    with path.open("rb") as file:
        return read_torch(file, allowed)


def _find_tensors(content: Any) -> dict[str, Tensor]:
    """Return the tensors by name, whatever they are wrapped in."""
    if not isinstance(content, dict):
        return {}
    for key in ("state_dict", "model", "model_state_dict", "net"):
        found = _find_tensors(content.get(key))
        if found:
            return found
    return {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}


def _find_classes(content: Any) -> list[str] | None:
    """Return the names of the classes that a checkpoint of a training is for."""
    names = content.get("classes") if isinstance(content, dict) else None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
