"""Files that somebody has damaged or forged, a value changed, a part lost, bytes exchanged; readers fed with them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Damaged = TypeVar("Damaged")

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-2, 2), st.floats(), st.text(max_size=5),
    st.sampled_from([[], {}, "", "auto", 10**30, -(10**30), 1 << 63, [[[[]]]], {"a": None}, "\n\x1b[2J\0"]),
    st.lists(st.integers(-5, 10**10), max_size=3), st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)  # fmt: skip


def places(content: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside plain content, but the content itself."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [found for key, value in inner for found in ((*place, key), *places(value, (*place, key)))]


@st.composite
def values(draw: st.DrawFn, content: Any) -> Any:
    """Plain content with one or two of its values changed, lost or doubled."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 2))):
        *way, last = draw(st.sampled_from(places(content) or [("",)]))
        inner = content
        for key in way:
            inner = inner[key]
        change = draw(st.sampled_from(["value", "lost", "doubled"]))
        if change == "value" or not inner:
            inner[last] = copy.deepcopy(draw(VALUES))  # those that are sampled are the same objects every time
        elif change == "lost":
            del inner[last]
        elif isinstance(inner, list):
            inner.append(inner[last])
        else:
            inner[last] = [inner[last]] * 2
    return content


@st.composite
def contents(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes with some flipped, lost, inserted, moved or cut off."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(found))] * 2)))
        change = draw(st.sampled_from(["flipped", "lost", "inserted", "moved", "cut off"]))
        if change == "flipped" and start < len(found):
            found[start] ^= 1 << draw(st.integers(0, 7))
        elif change == "lost":
            del found[start : min(end, start + 20)]
        elif change == "inserted":
            found[start:start] = draw(st.binary(max_size=8)) or b"[" * draw(st.sampled_from([1, 100_000]))
        elif change == "moved":
            found[start:start] = found[end : end + 20]
        else:
            del found[end:]
    return bytes(found)


def feed(
    examples: int,
    damaged: st.SearchStrategy[Damaged],
    read: Callable[[Damaged], object],
    *,
    whole: Damaged,
) -> None:
    """Feed a reader: it succeeds, or raises an error of ours in one line, and nothing else.

    What is `whole` must be accepted: a reader that refuses everything shows nothing.
    """
    read(whole)

    @settings(max_examples=examples, deadline=None, suppress_health_check=[*HealthCheck], database=None)
    @given(damaged)
    def attempt(content: Damaged) -> None:
        told = "an error of ours, in a line"
        try:
            read(content)
        except ValueError as error:
            if not hasattr(error, "exit_code"):
                raise
            told = str(error)
        assert "\n" not in told
        assert len(told) > 20

    attempt()
