"""Every command line that README and docs/ show runs, page by page in order, on data and networks that take seconds."""

from __future__ import annotations

import glob
import importlib
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import click
import pytest
from helpers import Answer
from shared import copy_of, made_once
from shown import OURS, PAGES, ROOT, Shown, files_on, mentioned_on, shown_on
from small_world import DEMO_RUN, EPOCHS, SYNTH, TRAINING, make_world

from sciu.tools.__main__ import PLACES

Sciu = Callable[..., Answer]
SMALL = " ".join(TRAINING)

SHRUNK: list[tuple[str, str, str]] = [  # (what a command line has, what is run in its place, why)
    (r"^(srun )?torchrun .* -m sciu\.tools\.train", "sciu-train", "one process in place of many"),
    (r"(?<=[ =])/data/", "archives/", "the archives lie beside the datasets"),
    (r"^sciu-train (?!.*--epochs).*", rf"\g<0> {SMALL} {' '.join(EPOCHS)}", "a small network, two epochs"),
    (r"^(sciu-train .*)--epochs \d+(.*)", rf"\1\2 {SMALL} --epochs 3", "one epoch more than the run has"),
    (r"^sciu-data synth .*", rf"\g<0> {' '.join(SYNTH)}", "28 clips"),
    (r"epoch_\d{5}", "epoch_00002", "the runs have two epochs"),
    (r"^(sciu-purify undo .*)--epoch \d+", r"\g<1>18", "nothing was decided so early, but clip 18 was pinned"),
    (r"\b0*1234\.mp4", "0000018.mp4", "the datasets have 35 clips"),
    (r"(?<=/auto/33 )1\d\d\d\b", "18", "and the demo's 28"),
    (r"^(sciu-experiment run .*/toy\.toml .*)", r"\1 --only '*/plain/10'", "one run of the grid"),
    (r"^(sciu-experiment run (?!.*/toy).*)", r"\1 --dry-run", "such a grid takes hours"),
    (r"^(sciu-experiment table) (rules|table[12])\b", r"\1 docs/experiments/results/networks", "a grid that has run"),
    (r"^(sciu-experiment learnable .*) --epochs \d+", r"\1 --epochs 1", "one epoch"),
    (r"\bDIR\b", "data/synth", "a table says DIR for any dataset"),
    (r"\bNAME\b", "tiny_lstm", "a table says NAME for any backbone"),
    (r"(bench.py (?:dataset|purify) .*)--clips \d+", r"\1--clips 2000", "a small table"),
    (r"(bench.py scale) --clips \d+ --ranks \d+", r"\1 --clips 2000 --ranks 2", "a small table, two ranks"),
    (r"bench.py (?:dataset|train|step) .*", r"\g<0> --rounds 1", "one round"),
    (r"bench.py feed .*", r"\g<0> --rounds 1 --seconds 0", "one round"),
    (r"bench.py (?:train|step) .*", r"\g<0> --size 32 --batch-size 4", "a small network"),
]
NOT_RUN = {  # what a command line begins with, and why it is not run
    "make demo": "five minutes; tests/tools/experiment runs what it is made of",
    "make test": "it would run this test",
    "python tools/bench.py all": "a quarter of an hour; tests/tools/benchmarks/test_all.py runs what is short",
    "tensorboard": "serves until it is stopped",
    "pip install": "7 GB from a network; tests/test_packaging.py installs the wheel",
    "sciu-review": "serves until it is stopped; tests/tools/review calls all that it answers",
    "python tools/bench.py gpu": "needs a GPU; tests/tools/test_bench_gpu.py runs all of its stages dry",
}


def is_run(shown: Shown) -> bool:
    return not any(f"{shown.line} ".startswith(f"{beginning} ") for beginning in NOT_RUN)


def shrunk(line: str) -> str:
    for found, instead, _why in SHRUNK:
        line = re.sub(found, instead, line)
    return line


@pytest.fixture
def world(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, sciu: Sciu) -> Path:
    """A copy of all that pages speak of, made once, to be changed."""
    return copy_of(made_once(tmp_path_factory, "world", lambda folder: make_world(folder, sciu)), tmp_path / "page")


def leave_to_the_page(page: Path, world: Path) -> None:
    """Remove what the page makes itself."""
    for shown in shown_on(page):
        words = shown.words
        outs = [new for option, new in pairwise(words) if option == "--out"]
        for made in [*outs, *(words[2:3] if words[:2] == ("sciu-data", "synth") else [])]:
            begins = "--resume" not in words or "--preset" in words
            if (world / made).is_dir() and begins:
                shutil.rmtree(world / made)


def run_line(line: str, sciu: Sciu) -> Answer:
    """Run a command as its user would, ours in this process."""
    words = [path for word in shlex.split(line) for path in sorted(glob.glob(word)) or [word]]  # noqa: PTH207 - as a shell does
    if words[0] in OURS:
        return sciu(words[0].removeprefix("sciu-"), *words[1:])
    if words[:2] == ["python", "tools/bench.py"]:
        return sciu("bench", *words[2:])
    words[0] = sys.executable if words[0] == "python" else words[0]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(map(is_run, shown_on(page)))], ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_command_on_the_page_runs(
    page: Path, world: Path, sciu: Sciu, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    leave_to_the_page(page, world)
    monkeypatch.chdir(world)
    for folder in ("docs", "examples", "tools"):
        Path(folder).symlink_to(ROOT / folder)
    for name, content in files_on(page).items():
        Path(name).write_text(content)
    monkeypatch.setattr("torch.compile", lambda network, **_: network)  # needs a C++ compiler and half a minute
    for line in [shrunk(shown.line) for shown in shown_on(page) if is_run(shown)]:
        answer = run_line(line, sciu)
        assert answer.code == 0, f"{line}\n{answer.out[-500:]}\n{answer.err[-2000:]}"


def test_no_exception_is_kept_that_no_page_needs() -> None:
    lines = [shown.line for page in PAGES for shown in shown_on(page)]
    assert [each for each in NOT_RUN if not any(f"{line} ".startswith(f"{each} ") for line in lines)] == []
    needed = set()
    for line in lines:
        for place, (found, instead, _why) in enumerate(SHRUNK):
            needed |= {place} if re.search(found, line) else set()
            line = re.sub(found, instead, line)
    assert [SHRUNK[place][0] for place in range(len(SHRUNK)) if place not in needed] == []


MENTIONED = {shown.line: shown for page in PAGES for shown in mentioned_on(page) if shown.words[0] in OURS}


@pytest.mark.parametrize("line", sorted(MENTIONED))
def test_what_a_sentence_says_of_a_command_exists(line: str) -> None:
    tool, *words = MENTIONED[line].words
    command: click.Command = importlib.import_module(f"sciu.tools.{PLACES[tool.removeprefix('sciu-')]}").main
    while isinstance(command, click.Group) and words:
        child = command.get_command(click.Context(command), words.pop(0))
        assert child is not None
        command = child
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_world_has_the_demo_as_make_demo_leaves_it() -> None:
    """The tutorial speaks of its folders."""
    spec = (ROOT / "examples/experiments/demo.toml").read_text()
    assert 'name = "faces"' in spec
    assert "seeds = [31" in spec
    assert DEMO_RUN.endswith("runs/faces/tiny_lstm/auto/33")
