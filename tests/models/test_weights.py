"""Weight files: recognised by their tensor names, reported tensor by tensor, and never loaded as nothing."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from sciu.models.backbones.tiny_lstm import TinyLstm
from sciu.models.errors import ModelError
from sciu.models.registry import build_backbone
from sciu.models.sciu_model import SciuModel
from sciu.models.weights import Classes, Loaded, load_imagenet, load_weights, place_tensors


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


class RecorderMeter:
    """What Former-DFER's training code saves beside the weights."""

    def __init__(self) -> None:
        self.epoch_losses = np.zeros((3, 2), np.float32)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_former_dfer_as_published_loads_completely(
    tmp_path: Path, wrapped: bool, zipped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = published_former_dfer()
    assert len(published) == 169
    content: dict[str, object] = {**published}
    if wrapped:
        monkeypatch.setattr(RecorderMeter, "__module__", "__main__")
        monkeypatch.setattr(sys.modules["__main__"], "RecorderMeter", RecorderMeter, raising=False)
        state_dict = {f"module.{name}": value for name, value in published.items()}
        extra = {"epoch": 3, "best_acc": torch.tensor(0.5), "recorder": RecorderMeter(), "optimizer": {"state": {}}}
        content = {"state_dict": state_dict, **extra}
    torch.save(content, tmp_path / "released.pth", _use_new_zipfile_serialization=zipped)
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
    assert told.unexpected == ["fc.weight", "fc.bias"]
    assert "backbone.lstm.weight_ih_l0" in told.missing
    assert re.match(r"120 tensors loaded; \d+ missing \(.* more\); 2 unexpected \(fc.weight, fc.bias\)", str(told))


def test_torchvisions_vit_file_has_older_names_than_its_code(tmp_path: Path) -> None:
    vit = torchvision.models.vit_b_16()
    old = {name.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2."): value
           for name, value in vit.state_dict().items()}  # fmt: skip
    torch.save(old, tmp_path / "vit_b_16.pth")
    told = load_weights(SciuModel(build_backbone("vit_lstm"), 7), tmp_path / "vit_b_16.pth")
    assert told.unexpected == ["heads.head.weight", "heads.head.bias"]
    assert not [name for name in told.missing if "image_network" in name]


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


PREFIXES = ("module.", "_orig_mod.", "module._orig_mod.", "module.module.")


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "net"])
def test_wrappers_of_other_codes_come_off(tmp_path: Path, prefix: str, key: str) -> None:
    trained = SciuModel(TinyLstm(), 7)
    content = {prefix + name: value for name, value in trained.state_dict().items()}
    torch.save({"model": {key: content}, 7: "a number for a name"}, tmp_path / "wrapped.pth")
    told = load_weights(SciuModel(TinyLstm(), 7), tmp_path / "wrapped.pth")
    assert (told.missing, told.unexpected, told.wrong_shape) == ([], [], [])


def test_a_compiled_backbone_inside_a_model(tmp_path: Path) -> None:
    trained = SciuModel(TinyLstm(), 7).state_dict()
    content = {name.replace("backbone.", "backbone._orig_mod."): value for name, value in trained.items()}
    torch.save(content, tmp_path / "compiled.pth")
    assert load_weights(SciuModel(TinyLstm(), 7), tmp_path / "compiled.pth").missing == []


@pytest.mark.parametrize(
    ("file", "backbone"),
    [("resnet18", "tiny_lstm"), ("resnet50", "resnet18_lstm"), ("vgg13", "vgg13_lstm"), ("own", "former_dfer")],
)
def test_a_file_for_another_network_is_refused_though_some_of_it_fits(tmp_path: Path, file: str, backbone: str) -> None:
    network = SciuModel(TinyLstm(), 7) if file == "own" else torchvision.models.get_model(file)
    torch.save(network.state_dict(), tmp_path / "file.pth")
    model = SciuModel(build_backbone(backbone), 7)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ModelError, match="does not fit this network: .*Is it for another backbone"):
        load_weights(model, tmp_path / "file.pth")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("fault", ["nan", "complex", "sparse", "stretched"])
def test_tensors_that_cannot_be_weights_change_nothing(fault: str) -> None:
    tensors = SciuModel(TinyLstm(), 7).state_dict()
    broken = tensors["classifier.weight"]
    tensors["classifier.weight"] = {
        "nan": broken * float("nan"), "complex": broken + 1j, "sparse": broken.to_sparse(),
        "stretched": torch.zeros(1).expand(1 << 40),
    }[fault]  # fmt: skip
    with pytest.raises(ModelError, match=r"tensor 'classifier.weight' of a file must be (finite|dense)"):
        place_tensors(SciuModel(TinyLstm(), 7), tensors, "a file")


class Evil:
    """A pickle that would run a command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch /tmp/sciu_was_here",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"junk", "cannot be read: [a-zA-Z.]+: "),
        (b"", "cannot be read: EOFError: .*[a-z]"),
        (None, "must be a file"),
        (Evil(), "cannot be read: .*GLOBAL"),
        ([1, 2], "must hold tensors"),
        ({"weight": 7}, "must hold tensors"),
    ],
)
def test_what_is_no_weight_file_is_told(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "file.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(ModelError, match=message) as told:
        load_weights(SciuModel(TinyLstm(), 7), path)
    assert "\x1b" not in str(told.value)
    assert "trust" not in str(told.value)
    assert not Path("/tmp/sciu_was_here").exists()


def test_imagenet_without_a_network_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    with pytest.raises(ModelError, match=r"cannot be downloaded from https.*no network.*give --weights a file"):
        load_imagenet(SciuModel(build_backbone("resnet18_lstm"), 7), "resnet18_lstm")


@pytest.mark.parametrize("content", [b"", b"junk", Evil()])
def test_a_broken_or_hostile_cache_of_imagenet_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: object
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub/checkpoints/resnet18-f37072fd.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(content) if isinstance(content, bytes) else torch.save(content, cached)
    with pytest.raises(ModelError, match=re.escape(f"Remove the broken '{cached}'")):
        load_imagenet(SciuModel(build_backbone("resnet18_lstm"), 7), "resnet18_lstm")
    assert not Path("/tmp/sciu_was_here").exists()


def test_imagenet_is_not_for_every_backbone() -> None:
    with pytest.raises(ModelError, match="has no ImageNet weights"):
        load_imagenet(SciuModel(TinyLstm(), 7), "tiny_lstm")


# ---- classes


def classifiers(theirs: list[str] | None, ours: list[str], rows: int = 3) -> tuple[Loaded, torch.Tensor, torch.Tensor]:
    """Place a network of some classes into one of others: what was told, and both classifiers' rows."""
    trained, model = SciuModel(TinyLstm(), rows), SciuModel(TinyLstm(), len(ours))
    told = place_tensors(model, trained.state_dict(), "a file", Classes(ours, theirs))
    return told, trained.classifier.weight, model.classifier.weight


@given(st.permutations(["a", "b", "c"]), st.permutations(["a", "b", "c"]))
def test_every_class_keeps_its_row(theirs: list[str], ours: list[str]) -> None:
    _, given, found = classifiers(theirs, ours)
    for name in ours:
        assert torch.equal(found[ours.index(name)], given[theirs.index(name)])


@pytest.mark.parametrize("theirs", [None, ["a", "b", "x"], ["a", "a", "b"], ["a", "b"], ["a", "b", "c", "d"], []])
def test_a_classifier_of_other_classes_is_left_out_and_nothing_else(theirs: list[str] | None) -> None:
    told, given, found = classifiers(theirs, ["a", "b", "c"])
    assert not torch.equal(found, given)
    assert told.other_classes == ["classifier.weight", "classifier.bias"]
    assert (told.missing, told.unexpected, told.wrong_shape) == ([], [], [])
    assert "the classifier was left out" in str(told)


def test_a_classifier_with_more_rows_than_names_is_left_out() -> None:
    told, *_ = classifiers(["c", "b", "a"], ["a", "b", "c"], rows=4)
    assert told.other_classes == ["classifier.weight", "classifier.bias"]


def test_a_published_former_dfer_does_not_name_its_classes() -> None:
    model = SciuModel(build_backbone("former_dfer"), 7, "none")
    told = place_tensors(model, published_former_dfer(), "a file", Classes("abcdefg"))
    assert told.other_classes == ["classifier.weight", "classifier.bias"]


def test_an_image_network_has_no_classifier_of_ours() -> None:
    model = SciuModel(build_backbone("resnet18_lstm"), 7)
    told = place_tensors(model, dict(torchvision.models.resnet18().state_dict()), "a file", Classes("abcdefg"))
    assert (told.other_classes, told.remark) == ([], "")
