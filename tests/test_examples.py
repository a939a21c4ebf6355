"""The examples run and show what they promise."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def test_the_purifier_mends_any_loop() -> None:
    script = EXAMPLES / "purify_any_loop.py"
    assert len(script.read_text().splitlines()) <= 60
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    before, after, kept = re.findall(r"[\d.]+", done.stdout.splitlines()[-1])
    assert float(before) < 82
    assert float(after) > 95
    assert int(kept) > 1500
