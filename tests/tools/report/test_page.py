"""Data in a page is data: no name ends a script, no number is one that JSON lacks."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented_run import NASTY

from sciu.tools.report.charts import finite, label
from sciu.tools.report.page import embedded


@given(st.recursive(st.text() | st.sampled_from(NASTY), lambda each: st.lists(each) | st.dictionaries(st.text(), each)))
def test_embedded_data_has_no_markup_and_reads_the_same(data: object) -> None:
    text = str(embedded(data))
    assert text.isascii()
    assert not set(text) & {"<", ">", "&"}
    assert json.loads(text) == data


def test_a_number_that_json_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        embedded({"loss": float("nan")})
    assert [finite(value) for value in (float("nan"), float("inf"), None, 1.5)] == [None, None, None, 1.5]


def test_names_in_charts_are_no_markup() -> None:
    assert label("<b>a</b> & b") == "&lt;b&gt;a&lt;/b&gt; &amp; b"
