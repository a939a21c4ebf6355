"""Commands answer `--help` and complete words without importing what takes long."""

from __future__ import annotations

import os
import subprocess
import sys

from sciu.tools.__main__ import PLACES

HEAVY = (
    "torch", "torchvision", "nvidia", "triton", "tensorboard", "av", "PIL", "pyarrow", "plotly", "matplotlib", "flask",
    "onnx", "tqdm", "rich.console",
)  # fmt: skip
HELP = """
import contextlib, importlib, io, sys
for name, place in {places}.items():
    main = importlib.import_module("sciu.tools." + place).main
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as told:
        main(["--help"])
    print(name, "Usage:" in told.getvalue(), *sorted(set(sys.modules) & set({heavy})))
"""


def test_help_of_every_command_imports_nothing_heavy() -> None:
    """One process shows all; the first command that names a module imports it."""
    places = {**PLACES, "every command": "__main__"}
    script = HELP.format(places=places, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{name} True" for name in places]


def completed(name: str, words: str) -> list[str]:
    """What the shell offers for the last of the words after a command."""
    script = f"from sciu.tools.{PLACES[name]} import main\nmain(prog_name='sciu-{name}')"
    asked = {"COMP_WORDS": f"sciu-{name} {words}", "COMP_CWORD": str(len(words.split(" ")))}
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **asked, f"_SCIU_{name.upper()}_COMPLETE": "bash_complete"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_the_shell_completes_commands_options_and_choices() -> None:
    assert completed("data", "p") == ["pack"]
    assert completed("data", "pack --codec m") == ["mjpeg"]
    assert completed("data", "import f") == ["ferv39k", "folder"]
    assert completed("train", "data --method s") == ["sciu", "scn", "sce"]
    assert completed("experiment", "l") == ["learnable"]
