"""Plain values are read as what they are declared to be, or the place of the wrong one is told."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.train.record.reading import read, read_fields


@dataclass
class Inner:
    name: str
    score: float | None = None


@dataclass
class Outer:
    count: int
    inner: Inner
    tables: dict[str, list[int]] = field(default_factory=dict)
    others: list[Inner] = field(default_factory=list)


CONTENT: dict[str, Any] = {
    "count": 1, "inner": {"name": "a", "score": 2}, "tables": {"x": [1, 2]}, "others": [{"name": "b"}],
}  # fmt: skip


def test_a_dataclass_in_a_dataclass() -> None:
    found = read(Outer, CONTENT, "it")
    assert found == Outer(1, Inner("a", 2.0), {"x": [1, 2]}, [Inner("b")])
    assert read(Outer, found, "it") is found


def test_what_a_later_version_added_is_ignored_and_what_an_earlier_one_lacked_has_its_default() -> None:
    assert Outer(**read_fields(Outer, {"count": 1, "inner": {"name": "a", "new": 7}, "new": []})) == Outer(
        1, Inner("a")
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 1.5}, r"it.count must be a whole number, but is 1.5"),
        ({"count": True}, r"it.count must be a whole number, but is True"),
        ({"inner": []}, r"it.inner must be an object, but is \[\]"),
        ({"inner": {}}, r"it.inner.name is missing"),
        ({"inner": {"name": "a", "score": "high"}}, r"it.inner.score must be a number, but is 'high'"),
        ({"tables": {"x": [1, None]}}, r"it.tables.x\[1\] must be a whole number, but is None"),
        ({"tables": {3: []}}, r"it.tables has a name that must be text, but is 3"),
        ({"others": [{"name": "b"}, {"name": None}]}, r"it.others\[1\].name must be text, but is None"),
    ],
)
def test_the_place_of_a_wrong_value_is_told(change: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        read(Outer, {**CONTENT, **change}, "it")


def test_what_is_as_declared_costs_no_message_and_a_list_of_plain_values_no_call_a_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run of 200,000 clips may hold out 40,000, and the history has a confusion for every epoch."""
    monkeypatch.setattr("reprlib.repr", lambda _: pytest.fail("a message is written"))
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    content = {**CONTENT, "tables": {"not an identifier": [*range(10_000)]}}
    sys.setprofile(count)
    try:
        found = read(Outer, content, "it")
    finally:
        sys.setprofile(None)
    assert found.tables == content["tables"]
    assert calls < 200


def test_one_of_several_types() -> None:
    kind = dict[str, float | dict[str, float | None] | None]
    value = {"a": 1.0, "b": {"c": None}, "d": None}
    assert read(kind, value, "it") == value
    with pytest.raises(TypeError, match=r"it.b.c must be a number, but is 'x'"):
        read(kind, {"b": {"c": "x"}}, "it")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN, st.sampled_from([Outer, Inner, list[int], dict[str, float], float | None, str, dict[str, Any], Any]))
def test_any_value_is_read_or_refused_in_a_line(value: Any, kind: Any) -> None:
    told = "it was read"
    try:
        found = read(kind, value, "it")
    except TypeError as error:
        told = str(error)
    else:
        assert repr(read(kind, found, "it")) == repr(found)
    assert told.startswith("it")
    assert told.isprintable()
    assert len(told) < 500
