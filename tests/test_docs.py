"""Documentation that cannot rot: commands have help; links, cited files and what shown Python imports exist."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import io
import re
import shlex
import tokenize
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
        context = click.Context(command)
        for sub in command.list_commands(context):
            yield from walk(f"{name} {sub}", child_of(command, sub))


def child_of(group: click.Group, name: str) -> click.Command:
    child = group.get_command(click.Context(group), name)
    assert child is not None, f"{group.name} has no command {name}"
    return child


COMMANDS = list(commands())
LEAVES = [(name, command) for name, command in COMMANDS if not isinstance(command, click.Group)]


@pytest.mark.parametrize(("name", "command"), LEAVES, ids=[name for name, _ in LEAVES])
def test_every_command_helps_with_an_example_and_speaks_to_machines(name: str, command: click.Command) -> None:
    assert f"Example: {name}" in (command.help or "")
    assert "--json" in {option for parameter in command.params for option in parameter.opts}


def is_sentence(text: str) -> bool:
    """Capital letter, full stop, no fragment like "Of the frames."; a default may follow."""
    words = re.sub(r"  \[default: .*\]$", "", text)
    return bool(re.fullmatch(r"[A-Z].*\.", words, re.DOTALL)) and not words.startswith("Of ")


def fragments(command: click.Command) -> dict[str, str]:
    """The help texts of a command and its options that are missing or no sentence."""
    helps = {"": (command.help or "").split("\n\n")[0]}
    helps |= {each.opts[0]: each.help or "" for each in command.params if isinstance(each, click.Option)}
    return {option: text for option, text in helps.items() if not is_sentence(text)}


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_and_option_has_a_sentence_of_help(name: str, command: click.Command) -> None:
    assert not fragments(command)


def test_every_bench_and_its_options_have_a_sentence_of_help() -> None:
    from sciu.tools.bench import main

    context = click.Context(main)
    benches = [main.get_command(context, name) for name in main.list_commands(context)]
    assert not [found for bench in benches if bench and (found := fragments(bench))]


@pytest.mark.parametrize(
    ("text", "expected"), [("Set it.  [default: 1]", True), ("Of it.", False), ("set it.", False), ("", False)]
)
def test_a_fragment_is_found(text: str, expected: bool) -> None:
    assert is_sentence(text) is expected


@pytest.mark.parametrize(("name", "command"), LEAVES, ids=[name for name, _ in LEAVES])
def test_every_example_names_options_that_exist(name: str, command: click.Command) -> None:
    example = (command.help or "").split("Example: ")[1].splitlines()[0]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in shlex.split(example) if word.startswith("--")} <= known


def test_every_command_for_users_is_in_the_readme() -> None:
    text = re.sub(" +", " ", (ROOT / "README.md").read_text())
    assert not [name for name, _ in LEAVES if name not in text and not name.startswith("sciu-experiment")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_shown_in_the_docs_imports_what_exists(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("sciu."):
                module = importlib.import_module(str(node.module))
                assert not [each.name for each in node.names if not hasattr(module, each.name)]


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


OURS = ("pipeline", "models", "purification", "tools", "tests")
EXAMPLES = {"mine.py", "file.py", "path/to/file.py", "tools/x.py", "random.py", "profile.py", "page.md"}  # not ours
CITED = re.compile(r"(?<![\w./<>{}*-])[\w./-]*\w\.(?:py|md|sh)\b(?![\w/])")
HIDDEN = re.compile(r"\.[^/]+|demo|build|bench-gpu.*|.*\.egg-info|__pycache__")
TREE = {
    str(path.relative_to(ROOT))
    for top in ROOT.iterdir()
    if not HIDDEN.fullmatch(top.name)
    for path in (top.rglob("*") if top.is_dir() else (top,))
}
NAMES = {Path(path).name for path in TREE}


def prose_of(path: Path) -> Iterator[str]:
    """The comments and docstrings of a Python file."""
    source = path.read_text()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def missing_files(text: str) -> list[str]:
    """The files of ours that a text cites and that do not exist: by name anywhere, by path from the root."""
    cited = [name.removeprefix("sciu/") for name in CITED.findall(text)]
    return [name for name in cited if name not in (TREE if "/" in name else NAMES) | EXAMPLES]


@pytest.mark.parametrize("room", OURS)
def test_comments_and_docstrings_cite_files_that_exist(room: str) -> None:
    cited = {
        str(path.relative_to(ROOT)): missing for path in sorted((ROOT / room).rglob("*.py"))
        if (missing := [name for text in prose_of(path) for name in missing_files(text)])
    }  # fmt: skip
    assert not cited


def test_a_missing_file_is_found() -> None:
    assert missing_files("see `thresholds.py`, docs/models.md and sciu/tools/demo.sh.") == []
    assert missing_files("see `gone.py`, docs/gone.md and tools/thresholds.py.") == [
        "gone.py", "docs/gone.md", "tools/thresholds.py"
    ]  # fmt: skip


def test_bench_helps_itself(sciu: Callable[..., Answer]) -> None:
    answer = sciu("bench", "dataset", "--help")
    assert "Example: python tools/bench.py dataset" in answer.out
