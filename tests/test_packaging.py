"""The root folders are one import package, for Python and for the type checker."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile
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
    for folder in ("tools", "tools/doctor", "tools/purify"):
        assert not {path.stem for path in (ROOT / folder).glob("*.py")} & set(sys.stdlib_module_names)


@pytest.mark.parametrize("command", ["data", "doctor", "experiment", "purify"])
def test_a_tool_runs_as_a_file_and_as_a_module(command: str) -> None:
    path = ROOT / "tools" / command
    for how in ([str(path if path.is_dir() else path.with_suffix(".py"))], ["-m", f"sciu.tools.{command}"]):
        done = subprocess.run([sys.executable, *how, "--help"], capture_output=True, text=True, check=True)
        assert "Usage:" in done.stdout


def test_the_lowest_versions_are_those_promised() -> None:
    promised = re.findall(
        r'"([a-z0-9-]+)>=([0-9.]+)', (ROOT / "pyproject.toml").read_text().split("[project.scripts]")[0]
    )
    pinned = re.findall(r"^([a-z0-9-]+)==([0-9.]+)$", (ROOT / "tests/lowest.txt").read_text(), re.MULTILINE)
    tools = {"setuptools", "ruff", "mypy"}
    assert {(name, bound + ".0" * (2 - bound.count("."))) for name, bound in promised if name not in tools} == set(
        pinned
    )


@pytest.mark.slow
def test_a_wheel_holds_nothing_but_sciu(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT, tmp_path / "src", ignore=shutil.ignore_patterns(".venv", ".git", "demo", "build"), symlinks=True
    )
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
        str(tmp_path / "src"),
    ]
    subprocess.run(pip, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"sciu"}
    assert "sciu/pipeline/dataset/importers/dfew.py" in names
