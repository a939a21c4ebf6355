"""The root folders are one import package, for Python and for the type checker."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import lmdb
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
    for folder in ("tools", "tools/doctor", "tools/purify", "tools/report", "tools/review"):
        assert not {path.stem for path in (ROOT / folder).iterdir()} & set(sys.stdlib_module_names)


@pytest.mark.parametrize("command", ["data", "doctor", "experiment", "purify", "report", "review"])
def test_a_tool_runs_as_a_file_and_as_a_module(command: str) -> None:
    path = ROOT / "tools" / command
    for how in ([str(path if path.is_dir() else path.with_suffix(".py"))], ["-m", f"sciu.tools.{command}"]):
        done = subprocess.run([sys.executable, *how, "--help"], capture_output=True, text=True, check=True)
        assert "Usage:" in done.stdout


def test_a_wheel_works_in_a_fresh_environment(tmp_path: Path) -> None:
    """Built as `python -m build` does it; its dependencies are those of this environment, 7 GB that are not copied."""
    wheel = build_wheel(tmp_path)
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"sciu/{room}/py.typed" for room in ROOMS} <= set(names)
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"sciu"}, "nothing else reaches site-packages"
    for pages in ("tools/report/template", "tools/review/page"):
        assert {f"sciu/{pages}/{path.name}" for path in (ROOT / pages).iterdir()} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    fresh = tmp_path / "fresh"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(fresh)], check=True)
    place = next((fresh / "lib").glob("python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(place)
    (place / "dependencies.pth").write_text(str(Path(lmdb.__file__).parent.parent))
    shown = "import sciu.pipeline.dataset as room; print(room.__file__)"
    found = subprocess.run([str(fresh / "bin/python"), "-c", shown], cwd=tmp_path, capture_output=True, check=True)
    assert found.stdout.decode().startswith(str(place))
    paint = ("-m", "sciu.tools.data", "synth", "faces", "--clips", "14", "--frames", "4", "--size", "32")
    subprocess.run([str(fresh / "bin/python"), *paint], cwd=tmp_path, check=True)
    assert (tmp_path / "faces/dataset.toml").exists()


def build_wheel(place: Path) -> Path:
    """Build from a copy of what is not ignored: setuptools leaves a `build` folder behind."""
    source = place / "source"
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    ours = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in ours.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(place)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, check=True)
    return next(place.glob("sciu-*.whl"))


def test_the_lowest_versions_are_those_promised() -> None:
    promised = re.findall(
        r'"([a-z0-9-]+)>=([0-9.]+)', (ROOT / "pyproject.toml").read_text().split("[project.scripts]")[0]
    )
    pinned = re.findall(r"^([a-z0-9-]+)==([0-9.]+)$", (ROOT / "tests/lowest.txt").read_text(), re.MULTILINE)
    tools = {"setuptools", "ruff", "mypy", "sphinx", "docutils", "myst-parser", "furo"}
    assert {(name, bound + ".0" * (2 - bound.count("."))) for name, bound in promised if name not in tools} == set(
        pinned
    )
