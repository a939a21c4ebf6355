"""Names and paths in messages: one line, nothing that a terminal obeys, and otherwise as they are."""

from __future__ import annotations

import ast

from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.errors import shown

ANY = st.characters() | st.characters(categories=["Cs"])  # also what a file name that is no UTF-8 becomes


@given(st.text(ANY))
def test_what_is_shown_is_one_printable_line(text: str) -> None:
    assert shown(text).isprintable()
    shown(text).encode()


@given(st.text(ANY))
def test_what_is_escaped_is_so_as_python_does(text: str) -> None:
    escaped = shown(text.replace("\\", "").replace("'", ""))
    assert ast.literal_eval(f"'{escaped}'") == text.replace("\\", "").replace("'", "")


def test_names_in_any_script_stay_as_they_are() -> None:
    assert shown("顔 – Ärger's 'clip'\\1.mp4") == "顔 – Ärger's 'clip'\\1.mp4"
    assert shown("a\x1b[2J\n\x9bb\u202e\udcff") == r"a\x1b[2J\n\x9bb\u202e\udcff"
