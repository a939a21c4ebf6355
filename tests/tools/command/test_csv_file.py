"""No spreadsheet runs a cell of a CSV file, and what was written can be read."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from sciu.tools.command.csv_file import csv_file, defused, original

RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
LIKE_FORMULAS = st.text(st.sampled_from("'=+-@＝\t\r\n1a"), max_size=6)


@given(st.text() | LIKE_FORMULAS)
@example("=cmd|' /C calc'!A0")
@example("'=1")
def test_what_was_defused_is_read_as_it_was(text: str) -> None:
    cell = defused(text)
    assert isinstance(cell, str)
    assert not cell.startswith(RUN_BY_SPREADSHEETS)
    assert original(cell) == text


@given(st.floats() | st.integers() | st.booleans() | st.none())
def test_numbers_stay_numbers(value: object) -> None:
    assert defused(value) is value


def test_names_of_columns_are_defused_too_and_numbers_are_not() -> None:
    content = csv_file(["=a", "b"], [{"=a": "@x", "b": -1.5}])
    assert content == b"'=a,b\n'@x,-1.5\n"
