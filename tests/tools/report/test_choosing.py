"""Which clips a page shows: every pair of classes gets its turn, and a budget is kept."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from sciu.tools.report.choosing import fairly, within


@given(st.lists(st.integers(0, 4)), st.integers(0, 50))
def test_no_group_has_two_more_than_another_that_has_more_left(groups: list[int], count: int) -> None:
    order = fairly(groups)
    assert sorted(order) == [*range(len(groups))]
    shown, total = Counter(groups[k] for k in order[:count]), Counter(groups)
    assert all(shown[one] >= shown[other] - 1 for one in total for other in total if shown[one] < total[one])
    for group in total:  # the first of a group come first
        places = [k for k in order if groups[k] == group]
        assert places == sorted(places)


@given(st.integers(0, 100), st.lists(st.integers(0, 30)))
def test_as_many_as_fit(budget: int, sizes: list[int]) -> None:
    count = within(budget, sizes)
    assert sum(sizes[:count]) <= budget
    assert count == len(sizes) or sum(sizes[: count + 1]) > budget
