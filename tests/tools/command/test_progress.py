"""Progress: a bar on a terminal, lines elsewhere; and what is printed beside it."""

from __future__ import annotations

import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from rich.cells import cell_len
from terminal import run_in_terminal, run_plainly

from sciu.tools.command import Progress, progress

COMMAND = """
import click, os, signal, sys, threading, time
from sciu.tools.command import Command, Progress, print_table, say

def steps(bar, first, last, total, note=""):
    for done in range(first, last + 1):
        bar(done, total, note)
        time.sleep(0.002)

@click.command(cls=Command)
def main():
    BODY

main([])
"""


def command(body: str) -> str:
    return COMMAND.replace("BODY", body.replace("\n", "\n    "))


PASSING = command(
    "for epoch in (1, 2):\n"
    "    bar = Progress(f'开心 {epoch}/2', passing=True)\n"
    "    steps(bar, 1, 150, 300, '1,234 clips/s')\n"
    "    say('Warning: clip 7 is missing')\n"
    "    steps(bar, 151, 300, 300, '1,234 clips/s')\n"
    "    say(f'epoch {epoch}: WAR 50 %')"
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test sets."""
    now = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_off_a_terminal_a_line_for_every_tenth_and_at_most_one_in_five_seconds(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    told = Progress("check")
    for done in range(1, 1001):
        clock[0] += 1 / 64
        told(done, 1000)
    assert capsys.readouterr().err.splitlines() == [
        "check: 321 of 1,000 (64/s)",
        "check: 642 of 1,000 (64/s)",
        "check: 963 of 1,000 (64/s)",
        "check: 1,000 of 1,000 (64/s)",
    ]
    slow = Progress("pack")
    for done in range(1, 11):
        clock[0] += 100
        slow(done, 10, "of a disk" if done == 10 else "")
    lines = capsys.readouterr().err.splitlines()
    assert (len(lines), lines[0], lines[-1]) == (10, "pack: 1 of 10 (0.0/s)", "pack: 10 of 10 (of a disk)")


def test_off_a_terminal_a_passing_bar_leaves_its_end_to_the_caller(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    told = Progress("epoch", passing=True)
    for done in range(1, 101):
        clock[0] += 0.01
        told(done, 100)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("columns", [30, 80])
def test_a_passing_bar_is_drawn_in_one_line_and_erased_and_lines_are_printed_above_it(columns: int) -> None:
    seen = run_in_terminal(PASSING, columns=columns)
    drawn = [frame for frame in seen.frames if frame.startswith("开心 1/2")]
    assert len(drawn) > 2
    assert max(map(cell_len, drawn)) <= columns
    if columns == 80:
        assert all("% |" in frame and "/300 [00:0" in frame for frame in drawn)
        assert any("<00:0" in frame and "1,234 clips/s]" in frame for frame in drawn)
    said = [["Warning: clip 7 is missing", f"epoch {epoch}: WAR 50 %"] for epoch in (1, 2)]
    assert (seen.lines, seen.code) == ([*said[0], *said[1]], 0)


@pytest.mark.parametrize(
    ("columns", "ends"),
    [
        (80, r"\| 150/300 \[00:\d\d<00:\d\d, 1,234 clips/s, 34% waiting\]"),
        (60, r"\| 150/300 \[00:\d\d<00:\d\d, 1,234 clips/s\]"), (45, r"\| 150/300 \[00:\d\d<00:\d\d\]"),
        (32, r"\| 150/300"),
    ],
)  # fmt: skip
def test_what_a_narrow_bar_has_no_room_for_is_left_out_in_whole_words(columns: int, ends: str) -> None:
    script = command("bar = Progress('epoch')\nsteps(bar, 149, 150, 300, '1,234 clips/s, 34% waiting')")
    (bar,) = run_in_terminal(script, columns=columns).lines
    assert re.search(ends + "$", bar), bar
    assert len(re.findall(r"\|(.*)\|", bar)[0]) >= 10 - len("100%")


def test_a_rate_has_no_unit_and_is_that_since_the_beginning() -> None:
    """That of a single step was thousands in a second."""
    script = command("bar = Progress('predict')\ntime.sleep(0.5)\nsteps(bar, 1, 1, 1)")
    (bar,) = run_in_terminal(script).lines
    found = re.search(r", +([\d.]+)/s\]$", bar)
    assert found, bar
    assert 0 < float(found[1]) <= 2


def test_a_bar_that_stays_ends_with_a_line_of_its_own_and_starts_no_thread() -> None:
    seen = run_in_terminal(
        command("bar = Progress('check')\nsteps(bar, 1, 300, 300)\nclick.echo(f'{threading.active_count()} thread')")
    )
    bar, result = seen.lines
    assert bar.startswith("check 100% |")
    assert "300/300" in bar
    assert "/s]" in bar
    assert result == "1 thread"


@pytest.mark.parametrize(
    ("end", "last", "code"),
    [
        ("raise OSError(28, 'No space left on device', '/x')", "Error: '/x': No space left on device.", 1),
        ("os.kill(os.getpid(), signal.SIGTERM)", "Error: stopped by SIGTERM", 143),
        ("os.kill(os.getpid(), signal.SIGINT)", "Error: stopped by the keyboard (SIGINT)", 130),
        ("raise RuntimeError('a bug')", "RuntimeError: a bug", 1),
    ],
)
def test_whatever_ends_a_command_is_told_below_its_bar(end: str, last: str, code: int) -> None:
    seen = run_in_terminal(command(f"bar = Progress('pack')\nsteps(bar, 1, 150, 300)\n{end}"))
    assert seen.code == code
    assert seen.lines[0].startswith("pack  50% |")
    assert "Error" not in seen.lines[0]
    assert "Traceback" not in seen.lines[0]
    assert seen.lines[-1].startswith(last)


def test_a_dumb_terminal_and_one_without_a_size_get_lines() -> None:
    script = command("steps(Progress('check'), 1, 300, 300)")
    for seen in (run_in_terminal(script, TERM="dumb"), run_in_terminal(script, columns=0, rows=0)):
        assert [line.partition(" (")[0] for line in seen.lines] == ["check: 300 of 300"]
        assert "\x1b" not in seen.written


def test_with_a_closed_stderr_the_work_goes_on() -> None:
    script = command("steps(Progress('check'), 1, 10, 10)\nsay('Warning: nobody reads this')\nclick.echo('done')")
    done = subprocess.run(
        ["bash", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, script],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_errors_and_warnings_are_coloured_on_a_terminal_only() -> None:
    script = command("say('Warning: old')\nsay('an epoch')\nraise click.UsageError('no such run')")
    seen = run_in_terminal(script)
    assert "\x1b[33mWarning: old\x1b[0m\r\nan epoch\r\n" in seen.written
    assert "\x1b[31mError: no such run\x1b[0m" in seen.written
    assert seen.code == 2
    assert "\x1b" not in run_in_terminal(script, NO_COLOR="1").written
    plain = run_plainly(script)
    assert (plain.stderr.splitlines()[0], plain.stderr.splitlines()[-1]) == ("Warning: old", "Error: no such run")
    assert "\x1b" not in plain.stderr
    assert "\x1b[31mError" in run_plainly(script, FORCE_COLOR="1").stderr


def test_a_full_disk_and_a_closed_pipe_end_a_table_without_a_traceback() -> None:
    script = command("print_table(['a'], [[k] for k in range(100_000)])")
    full = "Error: standard output: No space left on device. Free the disk, or let it go elsewhere, then"
    for redirection, code, told in ((">/dev/full", 1, full), ("| head -1; exit ${PIPESTATUS[0]}", 141, "")):
        done = subprocess.run(
            ["bash", "-c", f'"$0" -c "$1" {redirection}', sys.executable, script],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == code, redirection
        assert done.stderr.startswith(told)
        assert done.stderr.count("\n") == (1 if told else 0)
        assert "Traceback" not in done.stderr
