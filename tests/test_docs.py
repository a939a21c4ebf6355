"""Documentation that cannot rot: commands help themselves, what is shown parses, links lead somewhere."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from helpers import Answer

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
SCRIPTS = {
    script.name: script.value
    for script in importlib.metadata.distribution("sciu").entry_points
    if script.group == "console_scripts"
}


def commands() -> Iterator[tuple[str, click.Command]]:
    for script, target in SCRIPTS.items():
        module, name = target.split(":")
        yield from walk(script, getattr(importlib.import_module(module), name))


def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for sub, child in command.commands.items():
            yield from walk(f"{name} {sub}", child)


LEAVES = [(name, command) for name, command in commands() if not isinstance(command, click.Group)]


@pytest.mark.parametrize(("name", "command"), LEAVES, ids=[name for name, _ in LEAVES])
def test_every_command_helps_with_an_example_and_speaks_to_machines(name: str, command: click.Command) -> None:
    assert f"Example: {name}" in (command.help or "")
    assert "--json" in {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize(("name", "command"), LEAVES, ids=[name for name, _ in LEAVES])
def test_every_example_names_options_that_exist(name: str, command: click.Command) -> None:
    example = (command.help or "").split("Example: ")[1].splitlines()[0]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in shlex.split(example) if word.startswith("--")} <= known


def test_every_command_for_users_is_in_the_readme() -> None:
    text = re.sub(" +", " ", (ROOT / "README.md").read_text())
    assert not [name for name, _ in LEAVES if name not in text and not name.startswith("sciu-experiment")]


def shown_commands() -> list[str]:
    """Every line of an indented block that calls one of our commands."""
    lines = [line.strip().split("  #")[0].strip() for page in PAGES for line in page.read_text().splitlines()]
    return sorted({line for line in lines if line.split(" ")[0] in SCRIPTS and len(line.split()) > 2})


@pytest.mark.parametrize("line", shown_commands())
def test_commands_shown_in_the_docs_parse(line: str) -> None:
    script, *words = shlex.split(line)
    module, name = SCRIPTS[script].split(":")
    command: click.Command = getattr(importlib.import_module(module), name)
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    command.make_context(script, words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert not [target for target in targets if "://" not in target and not (page.parent / target).exists()]


@pytest.mark.parametrize("room", ["pipeline/dataset", "pipeline/feed", "pipeline/train", "models", "purification"])
def test_the_architecture_page_lists_the_files_of_a_room(room: str) -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    files = {path.name for path in (ROOT / room).glob("*.py")} - {"__init__.py", "errors.py"}
    assert not {name for name in files if f"`{name}`" not in text}


def test_the_readme_shows_both_commands_on_its_first_screen() -> None:
    first_screen = (ROOT / "README.md").read_text().splitlines()[:24]
    assert any(line.strip().startswith("make demo") for line in first_screen)
    assert any(line.strip().startswith("make test") for line in first_screen)


def test_bench_helps_itself(sciu: Callable[..., Answer]) -> None:
    answer = sciu("bench", "dataset", "--help")
    assert "Example: python tools/bench.py dataset" in answer.out
