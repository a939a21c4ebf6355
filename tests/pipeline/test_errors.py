"""Names and paths in messages: one line, nothing that a terminal obeys, and otherwise as they are."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.errors import OneLineError, SettingError, shown
from sciu.pipeline.feed.errors import FeedError
from sciu.pipeline.train.errors import RunError, TrainError

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


@pytest.mark.parametrize("error", [SettingError, DatasetError, FeedError, RunError, TrainError])
def test_an_error_of_ours_is_one_line_whatever_it_names(error: type[OneLineError]) -> None:
    """A checkpoint's format may be a text with a newline."""
    assert str(error("of format \n\x1b[2J")) == r"of format \n\x1b[2J"
