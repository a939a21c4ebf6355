"""The root folders are one import package, for Python and for the type checker."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("pipeline", "models", "purification", "tools")


@pytest.mark.parametrize("room", ROOMS)
def test_import_comes_from_the_root_folder(room: str) -> None:
    spec = importlib.util.find_spec(f"sciu.{room}")
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).resolve() == ROOT / room / "__init__.py"


@pytest.mark.parametrize("room", ROOMS)
def test_the_type_checker_sees_the_same_folder(room: str) -> None:
    assert (ROOT / "typings" / "sciu" / room).resolve() == ROOT / room


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert not [str(folder) for folder in folders if not (folder / "__init__.py").exists()]


def test_setup_lists_every_package() -> None:
    listed = subprocess.run(
        [sys.executable, "-c", "import setuptools; setuptools.setup = lambda **k: print(*k['packages']); import setup"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    there = {path.parent.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("__init__.py")}
    assert sorted(listed) == sorted("sciu." + ".".join(folder.parts) for folder in there)


def test_no_tool_is_named_like_a_standard_module() -> None:
    """`python tools/x.py` puts tools/ first on sys.path, where `profile.py` would hide Python's own."""
    assert not {path.stem for path in (ROOT / "tools").glob("*.py")} & set(sys.stdlib_module_names)


@pytest.mark.parametrize("command", ["data", "doctor", "experiment"])
def test_a_tool_runs_as_a_file_and_as_a_module(command: str) -> None:
    for how in ([str(ROOT / "tools" / f"{command}.py")], ["-m", f"sciu.tools.{command}"]):
        done = subprocess.run([sys.executable, *how, "--help"], capture_output=True, text=True, check=True)
        assert "Usage:" in done.stdout
