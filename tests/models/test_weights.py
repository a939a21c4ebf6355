"""Weight files: recognised by their tensor names, told tensor by tensor, and never loaded as nothing."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from sciu.models.backbones.tiny_lstm import TinyLstm
from sciu.models.errors import ModelError
from sciu.models.registry import build_backbone
from sciu.models.sciu_model import SciuModel
from sciu.models.weights import load_imagenet, load_weights


def published_former_dfer() -> dict[str, torch.Tensor]:
    """A state dict with the tensor names and shapes of the released checkpoints."""
    resnet = {f"s_former.{name}": value.shape for name, value in torchvision.models.resnet18().state_dict().items()}
    shapes: dict[str, tuple[int, ...]] = {name: tuple(shape) for name, shape in resnet.items() if ".fc." not in name}
    shapes |= {"s_former.pos_embedding": (1, 49, 256), "t_former.cls_token": (1, 1, 512)}
    shapes |= {"t_former.pos_embedding": (1, 17, 512), "fc.weight": (7, 512), "fc.bias": (7,)}
    for former, width, inner, hidden, depth in (("s_former", 256, 256, 512, 1), ("t_former", 512, 512, 1024, 3)):
        for layer in range(depth):
            attend, think = (f"{former}.spatial_transformer.layers.{layer}.{part}.fn." for part in (0, 1))
            for part in (attend, think):
                shapes |= {f"{part}norm.weight": (width,), f"{part}norm.bias": (width,)}
            shapes |= {f"{attend}fn.to_qkv.weight": (3 * inner, width), f"{attend}fn.to_out.0.weight": (width, inner)}
            shapes |= {f"{attend}fn.to_out.0.bias": (width,), f"{think}fn.net.0.bias": (hidden,)}
            shapes |= {f"{think}fn.net.0.weight": (hidden, width), f"{think}fn.net.3.weight": (width, hidden)}
            shapes |= {f"{think}fn.net.3.bias": (width,)}
    return {name: torch.rand(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("wrapped", [False, True])
def test_former_dfer_as_published_loads_completely(tmp_path: Path, wrapped: bool) -> None:
    published = published_former_dfer()
    assert len(published) == 169
    content = {"state_dict": {f"module.{name}": value for name, value in published.items()}} if wrapped else published
    torch.save(content, tmp_path / "released.pth")
    model = SciuModel(build_backbone("former_dfer"), 7, "none")
    told = load_weights(model, tmp_path / "released.pth")
    assert (len(told.loaded), told.missing, told.unexpected, told.wrong_shape) == (169, [], [], [])
    assert torch.equal(model.state_dict()["backbone.temporal.blocks.2.qkv.weight"],
                       published["t_former.spatial_transformer.layers.2.0.fn.fn.to_qkv.weight"])  # fmt: skip


def test_a_torchvision_file_goes_into_the_image_network(tmp_path: Path) -> None:
    resnet = torchvision.models.resnet18()
    torch.save(resnet.state_dict(), tmp_path / "resnet18.pth")
    model = SciuModel(build_backbone("resnet18_lstm"), 7)
    told = load_weights(model, tmp_path / "resnet18.pth")
    assert torch.equal(model.state_dict()["backbone.image_network.conv1.weight"], resnet.conv1.weight)
    assert told.unexpected == ["backbone.image_network.fc.weight", "backbone.image_network.fc.bias"]
    assert "backbone.lstm.weight_ih_l0" in told.missing
    assert re.match(r"120 tensors loaded; \d+ missing: .*; 2 unexpected: ", str(told))


@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_our_own_files_and_a_classifier_of_another_size(tmp_path: Path, kind: str) -> None:
    trained = SciuModel(TinyLstm(), 7)
    path = tmp_path / ("own.pt" if kind == "torch" else "own.safetensors")
    if kind == "torch":
        torch.save({"model": trained.state_dict(), "epoch": 3}, path)
    else:
        save_file(trained.state_dict(), path)
    model = SciuModel(TinyLstm(), 11)
    told = load_weights(model, path)
    assert sorted(told.wrong_shape) == ["classifier.bias", "classifier.weight"]
    name = "backbone.squeeze.weight"
    assert torch.equal(model.state_dict()[name], trained.state_dict()[name])


def test_loading_nothing_is_an_error(tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(ModelError, match="must hold tensors of this model, .*Is it for another backbone"):
        load_weights(SciuModel(TinyLstm(), 7), tmp_path / "resnet18.pth")


class Evil:
    """A pickle that would run a command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch /tmp/sciu_was_here",)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"junk", "cannot be read"), (None, "are not there"), (Evil(), "cannot be read"), ([1, 2], "must hold tensors")],
)
def test_what_is_no_weight_file_is_told(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "file.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(ModelError, match=message):
        load_weights(SciuModel(TinyLstm(), 7), path)
    assert not Path("/tmp/sciu_was_here").exists()


def test_imagenet_without_a_network_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    with pytest.raises(ModelError, match=r"cannot be downloaded: .*no network.* Give --weights a file"):
        load_imagenet(SciuModel(build_backbone("resnet18_lstm"), 7), "resnet18_lstm")


def test_imagenet_is_not_for_every_backbone() -> None:
    with pytest.raises(ModelError, match="has no ImageNet weights"):
        load_imagenet(SciuModel(TinyLstm(), 7), "tiny_lstm")
