"""Tables: plain, aligned and whole in a pipe; within the width of a terminal, and never with a cell that is cut."""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from terminal import run_in_terminal, run_plainly

from sciu.pipeline.errors import shown
from sciu.tools.command import Marked, print_table

PRINT = "from sciu.tools.command import Marked, print_table\nprint_table({header}, {rows})"
LONG = "/data/people/somewhere/very/deep/DFEW/Clip/clip_224x224/00001"

names = st.text("ab开😀[]/=\x1b\n", min_size=1, max_size=40)
tables = st.lists(st.booleans(), min_size=1, max_size=5).flatmap(
    lambda columns: st.tuples(
        st.tuples(*[names for _ in columns]),
        st.lists(st.tuples(*[st.integers(0, 10**9) if numeric else names for numeric in columns]), max_size=5),
    )
)


def script(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return PRINT.format(header=[*header], rows=[*rows])


def printed(header: Sequence[str], rows: Sequence[Sequence[object]], columns: int = 0) -> str:
    """What is printed into a pipe, or on a terminal of so many columns."""
    out = io.StringIO()
    with (
        redirect_stdout(out),
        patch("sciu.tools.command.table.is_terminal", return_value=columns > 0),
        patch.dict("os.environ", COLUMNS=str(columns)),
    ):
        print_table(header, rows)
    return out.getvalue()


def without_rule(out: str) -> list[str]:
    """The lines of a table, less that below its header, which is another on a terminal."""
    header, rule, *rows = out.splitlines()
    assert set(rule) <= {*"-─ "}
    return [header, *rows]


def between(line: str, first: int, last: int) -> str:
    """The characters of a line in a range of the terminal's cells."""
    found, cell = "", 0
    for char in line:
        if first <= cell < last:
            found += char
        cell += cell_len(char)
    return found


def test_in_a_pipe_columns_are_aligned_and_wide_characters_take_two_cells() -> None:
    rows: list[list[object]] = [["开心", None, 12], ["[red]sad[/]", 1234, 5], ["\x1b[31m😀", 0, 0]]
    assert printed(["class", "train", "test"], rows).splitlines() == [
        "class        train  test",
        "-----------  -----  ----",
        "开心             -    12",
        "[red]sad[/]  1,234     5",
        "\\x1b[31m😀       0     0",
    ]
    assert printed(["name", "count"], []) == "name  count\n----  -----\n"


def test_the_id_of_a_clip_is_printed_as_commands_take_it() -> None:
    assert printed(["clip", "frames"], [[1137, 1137]]).splitlines()[-1] == "1137   1,137"


@given(tables)
def test_in_a_pipe_every_cell_is_whole_and_in_its_column(made: tuple[Sequence[str], list[Sequence[object]]]) -> None:
    header, rows = made
    first, rule, *others = printed(header, rows).split("\n")[:-1]
    assert "\x1b" not in first + "".join(others)
    for texts, line in zip((header, *rows), (first, *others), strict=True):
        begin = 0
        for width, text in zip(map(len, rule.split("  ")), texts, strict=True):
            expected = f"{text:,}" if isinstance(text, int) else shown(str(text))
            assert between(line, begin, begin + width).strip() == expected
            begin += width + 2


@settings(deadline=None)
@given(tables, st.integers(20, 120))
def test_on_a_terminal_a_table_fits_or_is_left_whole(
    made: tuple[Sequence[str], list[Sequence[object]]], columns: int
) -> None:
    """Text is folded, numbers are not; where that is not enough, the terminal folds the lines of the plain table."""
    header, rows = made
    out = printed(header, rows, columns)
    if any(cell_len(line) > columns for line in out.splitlines()):
        assert without_rule(out) == without_rule(printed(header, rows))
    numbers = [f"{cell:,}" for row in rows for cell in row if isinstance(cell, int)]
    texts = [shown(cell) for row in (header, *rows) for cell in row if isinstance(cell, str)]
    assert not Counter(numbers) - Counter(out.split())
    assert Counter("".join(out.split()).replace("─", "").replace("-", "")) == Counter("".join((*numbers, *texts)))


def test_on_a_terminal_long_paths_are_folded_and_names_are_neither_markup_nor_escapes() -> None:
    rows = [[1, LONG, "[red]\x1b[31m[/] 开心"], [20, LONG, "sad"]]
    seen = run_in_terminal(script(["clip", "path", "label"], rows), columns=60)
    assert seen.code == 0
    assert "\x1b[31m" not in seen.written
    assert any("[red]\\x1b[31m[/] 开心" in line for line in seen.lines)
    assert max(map(cell_len, seen.lines)) <= 60
    assert len(seen.lines) == 2 + 2 * 3
    narrow = run_in_terminal(script(["clip", "path", "label"], rows), columns=20).lines
    assert without_rule("\n".join(narrow)) == without_rule(printed(["clip", "path", "label"], rows))


def test_on_a_terminal_headers_break_between_words_and_paths_between_their_parts() -> None:
    counts = ["neutral", "disgusted", "corrected", "newly pruned"]
    out = printed(["clip", "path", *counts], [[1, LONG, 1, 2, 3, 4]], columns=72)
    lines = [line.strip() for line in out.splitlines()]
    assert max(map(cell_len, lines)) <= 72
    assert {word for name in counts for word in name.split()} <= {*out.split()}
    head = next(k for k, line in enumerate(lines) if {*line} == {"─"})
    parts = [lines[head + 1].split()[1], *lines[head + 2 :]]
    assert "".join(parts) == LONG
    assert all(part.endswith(("/", "_")) for part in parts[:-1])


def test_a_table_that_does_not_fit_looks_as_the_others_on_a_terminal() -> None:
    rows = [[1, LONG, "sad"]]
    whole, fitting = (run_in_terminal(script(["clip", "path", "label"], rows), columns=n) for n in (20, 100))
    for seen in (whole, fitting):
        assert "\x1b[1m" in seen.written
        assert {*seen.lines[1]} == {"─"}
    assert LONG in whole.lines[2]


def test_colours_are_for_terminals_and_as_their_users_want_them() -> None:
    code = PRINT.format(header=["a"], rows="[[Marked('best', 'green')]]")
    green, bold = "\x1b[32mbest", "\x1b[1m"
    assert green in run_in_terminal(code).written
    assert bold in run_in_terminal(code).written
    assert "\x1b[32m" not in run_in_terminal(code, NO_COLOR="1").written
    dumb = run_in_terminal(code, TERM="dumb")
    assert (dumb.written.splitlines(), "\x1b" in dumb.written) == (["a", "----", "best"], False)
    assert run_plainly(code).stdout == "a\n----\nbest\n"
    assert green in run_plainly(code, FORCE_COLOR="1").stdout
    assert "\x1b" not in run_plainly(code, FORCE_COLOR="1", NO_COLOR="1").stdout


def test_a_table_of_many_rows_is_plain_also_on_a_terminal() -> None:
    """Folding a million rows would take minutes."""
    rows = [[number, "clip"] for number in range(1001)]
    with patch("rich.console.Console", side_effect=AssertionError("it is not to be asked")):
        many = printed(["number", "kind"], rows, columns=80)
    assert without_rule(many) == without_rule(printed(["number", "kind"], rows))
    assert {*many.splitlines()[1]} == {"─"} == {*printed(["number", "kind"], rows[1:], columns=80).splitlines()[1]}


def test_a_marked_cell_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert sys.stdout.isatty() is False
    print_table(["state"], [[Marked("ok\n", "green")]])
    assert capsys.readouterr().out == "state\n-----\nok\\n\n"
