"""The arrows of the architecture: who may import whom, read from the code itself."""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

BELOW_TRAIN = ("pipeline.errors", "pipeline.dataset", "pipeline.feed", "models", "purification")


def in_train(*rooms: str) -> list[str]:
    return [f"pipeline.train.{room}" for room in rooms]


MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "models": (),
    "purification": (),
    "purification.store": ("purification.errors", "purification.clip_state", "purification.event"),
    "purification.rules": ("purification.errors", "purification.clip_state", "purification.store"),
    "purification.care": ("purification",),
    "pipeline.dataset": ("pipeline.errors",),
    "pipeline.dataset.media": ("pipeline.errors", "pipeline.dataset.errors"),
    "pipeline.dataset.system": ("pipeline.errors", "pipeline.dataset.errors"),
    "pipeline.feed": ("pipeline.errors", "pipeline.dataset", "purification.index"),
    "pipeline.feed.plan": ("pipeline.errors", "pipeline.dataset", "pipeline.feed.errors", "purification.index"),
    "pipeline.feed.memory": ("pipeline.errors", "pipeline.dataset", "pipeline.feed.errors"),
    "pipeline.feed.files": ("pipeline.errors", "pipeline.dataset", "pipeline.feed.errors"),
    "pipeline.feed.pixels": ("pipeline.errors", "pipeline.dataset", "pipeline.feed"),
    "pipeline.feed.decode": ("pipeline.errors", "pipeline.dataset", "pipeline.feed"),
    "pipeline.train": (*BELOW_TRAIN,),
    "pipeline.train.job": (*BELOW_TRAIN, *in_train("errors")),
    "pipeline.train.config": (*BELOW_TRAIN, *in_train("errors", "job")),
    "pipeline.train.record": (*BELOW_TRAIN, *in_train("errors", "config")),
    "pipeline.train.step": (*BELOW_TRAIN, *in_train("errors", "job", "config")),
    "pipeline.train.evaluation": (*BELOW_TRAIN, *in_train("errors", "job", "record", "step")),
    "pipeline.train.report": (*BELOW_TRAIN, *in_train("errors", "config", "record", "evaluation", "purify")),
    "pipeline.train.run": (
        *BELOW_TRAIN,
        *in_train("errors", "job", "config", "record", "step", "evaluation", "report", "purify"),
    ),
    "tools": ("models", "purification", "pipeline", "tools"),
}
NO_HEAVY_IMPORTS = {
    "purification": {"torch", "torchvision", "nvidia"},
    "pipeline.dataset": {"torch", "torchvision", "nvidia"},
}
FILES = [
    path for room in ("models", "purification", "pipeline", "tools") for path in sorted((ROOT / room).rglob("*.py"))
]


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, wherever in the file it does so."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the arrows"
            found.add(str(node.module))
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def room_of(path: Path) -> str:
    """The most special room that a file lies in; `pipeline/errors.py` is in none."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return max((room for room in MAY_IMPORT if f"{module}.".startswith(f"{room}.")), key=len, default="")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path) -> None:
    room = room_of(path)
    ours = {name.removeprefix("sciu.") for name in imports_of(path) if name.startswith("sciu.")}
    allowed = (room, *MAY_IMPORT[room]) if room else ()
    strangers = {name for name in ours if not any(f"{name}.".startswith(f"{home}.") for home in allowed)}
    assert not strangers, f"{room or 'a package file'} must not import {sorted(strangers)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_purification_needs_numpy_and_lmdb_only(path: Path) -> None:
    """Anybody's training loop can use it."""
    if room_of(path).partition(".")[0] == "purification":
        foreign = {name.split(".")[0] for name in imports_of(path)} - set(sys.stdlib_module_names)
        assert foreign <= {"numpy", "lmdb", "sciu"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_light_rooms_stay_light(path: Path) -> None:
    for room, heavy in NO_HEAVY_IMPORTS.items():
        if f"{room_of(path)}.".startswith(f"{room}."):
            assert not {name.split(".")[0] for name in imports_of(path)} & heavy


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_at_once(path: Path) -> set[str]:
    """The modules of ours that are imported when a file is, not later inside a function or for type checkers only."""
    return {name.removeprefix("sciu.") for name in imports_in(ast.parse(path.read_text()).body)}


def imports_in(body: Iterable[ast.AST]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imports_in(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imports_in(ast.iter_child_nodes(node))


def test_no_module_imports_itself_by_way_of_others() -> None:
    modules = {module_of(path): path for path in FILES}
    arrows = {name: imported_at_once(path) & modules.keys() - {name} for name, path in modules.items()}
    graphlib.TopologicalSorter(arrows).prepare()  # raises CycleError


def test_no_room_has_more_than_a_dozen_entries_and_no_file_more_than_400_lines() -> None:
    rooms = {path.parent for path in FILES}
    entries = {
        room: [e for e in room.iterdir() if e.name not in ("__init__.py", "__main__.py", "py.typed", "__pycache__")]
        for room in rooms
    }
    assert not {str(room): len(found) for room, found in entries.items() if len(found) > 12}
    assert not {str(path) for path in FILES if len(path.read_text().splitlines()) > 400}


def test_the_rule_itself_can_fail(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    from sciu.tools import data\n")
    assert "sciu.tools.data" in imports_of(bad)
    assert room_of(ROOT / "pipeline/dataset/synth/faces.py") == "pipeline.dataset"
    assert room_of(ROOT / "pipeline/__init__.py") == ""
