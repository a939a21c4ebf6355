"""The command lines that README and docs/ show, as bash expands them: loops, variables, scripts for a queue.

A block of `bash`, or an indented one, has commands of ours; one of `sh` has those of the system alone, and bash runs it
as it is. A block of Python that begins with `# file.py` is that file.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OURS = (
    "sciu-data", "sciu-doctor", "sciu-eval", "sciu-experiment", "sciu-export", "sciu-predict", "sciu-purify",
    "sciu-report", "sciu-review", "sciu-train",
)  # fmt: skip
OTHERS = ("cp", "make", "pip", "python", "srun", "tensorboard", "torchrun")
_FIRST_WORD = re.compile(rf"^\s*({'|'.join(OURS + OTHERS)})\s", re.MULTILINE)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)((?:    [^\n]*\n+)+)")
_INLINE = re.compile(rf"`((?:{'|'.join(OURS)}|python (?:tools|examples)/\w+\.py) [^`]+)`")
_STUBS = f"""
set -u
SLURM_JOB_NODELIST=node[1-2] SLURM_NNODES=2 SLURM_JOB_ID=7 SLURM_ARRAY_TASK_ID=3
for name in {" ".join(OURS + OTHERS)}; do
    eval "$name() {{ printf '%s\\0' $name \\"\\$@\\" >&3; printf '\\n\\0' >&3; }}"
done
scontrol() {{ [ "$1" = show ] && echo node1; }}
"""


@dataclass(frozen=True)
class Shown:
    """A command line on a page."""

    page: str
    words: tuple[str, ...]

    @property
    def line(self) -> str:
        """The command as one would type it."""
        return shlex.join(self.words)


def commands_on(text: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command of a page, from top to bottom."""
    for match in re.finditer(f"{_FENCE.pattern}|{_INDENTED.pattern}", text, re.MULTILINE | re.DOTALL):
        language, block, indented = match.groups()
        if language == "sh":
            yield ("bash", "-euc", block)
        elif language in (None, "bash") and _FIRST_WORD.search(block or indented):
            yield from commands_of_block(block or indented)


def commands_of_block(block: str) -> list[tuple[str, ...]]:
    """Let bash read a block, with functions in place of the programs that write down how they were called."""
    with tempfile.NamedTemporaryFile() as calls, tempfile.TemporaryDirectory() as empty:
        script = f"exec 3>>{calls.name}\n{_STUBS}\n{block}"
        done = subprocess.run(["bash", "--norc", "-c", script], cwd=empty, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stderr}\n{block}"
        assert not done.stderr, f"{done.stderr}\n{block}"
        recorded = Path(calls.name).read_text()
    return [tuple(call.split("\0")[:-1]) for call in recorded.split("\n\0") if call]


@cache
def shown_on(page: Path) -> list[Shown]:
    """Return the command lines of a page: first those of blocks, from top to bottom, then those of tables' cells."""
    text, name = page.read_text(), str(page.relative_to(ROOT))
    cells = "\n".join(line for line in text.splitlines() if re.match(r"\| commands? \|", line))
    found = [*commands_on(text), *(tuple(shlex.split(line)) for line in _INLINE.findall(cells))]
    return [Shown(name, words) for words in found]


def files_on(page: Path) -> dict[str, str]:
    """Return the files that a page has its reader write."""
    blocks = [block for language, block in _FENCE.findall(page.read_text()) if language == "python"]
    named = [(re.match(r"# (\w+\.py)\n", block), block) for block in blocks]
    return {match[1]: block for match, block in named if match}


def mentioned_on(page: Path) -> list[Shown]:
    """Return what sentences say of commands, as in `sciu-eval --split train`, which is no whole command line."""
    found = _INLINE.findall(_INDENTED.sub("\n", _FENCE.sub("", page.read_text())))
    return [Shown(str(page.relative_to(ROOT)), tuple(shlex.split(line))) for line in found]
