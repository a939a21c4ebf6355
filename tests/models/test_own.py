"""Anybody's own backbone: built by its name, found from anywhere, and known by its source."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from sciu.models.errors import ModelError
from sciu.models.own import absolute, source_of, with_file
from sciu.models.registry import build_backbone, describe
from sciu.models.sciu_model import SciuModel

OWN = """
from __future__ import annotations
import sys
from dataclasses import dataclass
import torch
from torch import nn


@dataclass
class Settings:
    width: int = 5


class MyNet(nn.Module):
    embedding_size = 5

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 5)

    def forward(self, clip):
        return self.linear(clip.mean(dim=(1, 3, 4)))


class NoSize(nn.Module):
    pass


class Liar(MyNet):
    embedding_size = 6


class Tuple(MyNet):
    def forward(self, clip):
        return super().forward(clip), None


class Truth(MyNet):
    embedding_size = True


class Needs(MyNet):
    def __init__(self, width):
        pass


def no_module():
    return 7


def leaves():
    sys.exit(4)


instance = MyNet()
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    return path


def test_a_users_own_backbone_trains(own: Path) -> None:
    torch.manual_seed(0)
    model = SciuModel(build_backbone(f"{own}:MyNet"), num_classes=3)
    shades = torch.eye(3).view(3, 1, 3, 1, 1).expand(3, 4, 3, 8, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(shades).logits_BK, torch.arange(3))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert model(shades).logits_BK.argmax(dim=1).tolist() == [0, 1, 2]


def test_a_users_own_backbone_comes_from_a_module_too(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(own.parent)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    assert type(build_backbone("mine:MyNet")).__name__ == "MyNet"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet18_lstn", "Did you mean resnet18_lstm"),
        ("nonsense", "Give your own as package.module:Class"),
        ("{own}:NoSize", "must have an `embedding_size`"),
        ("{own}:Truth", "must have an `embedding_size`, .* but has True"),
        ("{own}:no_module", "must make a torch.nn.Module, but made int"),
        ("{own}:instance", "must name a class or a function, but names MyNet"),
        ("{own}:Missing", "has no 'Missing'"),
        ("{own}:Needs", "cannot be built without arguments: TypeError: .*'width'"),
        ("{own}:leaves", "cannot be built without arguments: SystemExit: 4"),
        ("no.such.package:Net", "cannot be built without arguments: ModuleNotFoundError: No module named 'no'"),
        ("/no/such/file.py:Net", "must be in a file, but there is no '/no/such/file.py'. Correct the path"),
        (":Net", "must be package.module:Class or path/to/file.py:Class"),
        ("./pkg:Net", "must be package.module:Class or path/to/file.py:Class"),
    ],
)
def test_what_is_no_backbone_is_told(own: Path, name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_backbone(name.format(own=own))


def test_an_embedding_of_another_shape_than_promised_is_told(own: Path) -> None:
    model = SciuModel(build_backbone(f"{own}:Liar"), num_classes=3)
    with pytest.raises(ModelError, match=re.escape("must be [B, D] = (2, 6), but is (2, 5)")):
        model(torch.zeros(2, 1, 3, 8, 8))


def test_an_embedding_that_is_no_tensor_is_told(own: Path) -> None:
    model = SciuModel(build_backbone(f"{own}:Tuple"), num_classes=3)
    with pytest.raises(ModelError, match="embedding must be a tensor, but is a tuple"):
        model(torch.zeros(2, 1, 3, 8, 8))


def test_a_file_is_imported_once_and_is_described_like_ours(own: Path) -> None:
    first, second = (build_backbone(f"{own}:MyNet") for _ in range(2))
    assert type(first) is type(second)
    assert describe(f"{own}:MyNet")["parameters"] == 20


def test_an_edited_file_is_imported_again(own: Path) -> None:
    """At once, also if its size and the second of its change are the same."""
    sizes = [build_backbone(f"{own}:MyNet").embedding_size]
    own.write_text(OWN.replace("embedding_size = 5", "embedding_size = 8"))
    sizes.append(build_backbone(f"{own}:MyNet").embedding_size)
    assert sizes == [5, 8]
    assert not [*own.parent.glob("__pycache__")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mine.py:Net", "{here}/mine.py:Net"), ("nets/../mine.py:Net", "{here}/mine.py:Net"),
        ("~/mine.py:Net", "{home}/mine.py:Net"), ("/nets/mine.py:Net", "/nets/mine.py:Net"),
        ("my.nets:Net", "my.nets:Net"), ("tiny_lstm", "tiny_lstm"), ("a:b.py:Net", "{here}/a:b.py:Net"), ("", ""),
    ],
)  # fmt: skip
def test_a_file_is_named_so_that_it_is_found_from_any_folder(
    name: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert absolute(name) == expected.format(here=tmp_path, home="/home/me") == absolute(absolute(name))


def test_a_backbone_in_another_place(tmp_path: Path) -> None:
    assert with_file("/a/mine.py:Net", lambda path: tmp_path / path.name) == f"{tmp_path / 'mine.py'}:Net"
    assert with_file("mine:Net", lambda path: tmp_path) == "mine:Net"


def test_where_the_source_is(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(own.parent)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    assert source_of(f"{own}:MyNet") == source_of("mine:MyNet") == own
    for name in ("tiny_lstm", "no.such.package:Net", "sys:Net", f"{own.parent}/none.py:Net", "./pkg:Net", ":Net"):
        assert source_of(name) is None
