"""Which clips a page shows if it cannot show all: each pair of classes gets its turn, until a budget is spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence


def fairly(groups: Sequence[Hashable]) -> list[int]:
    """Return the positions of members of groups: the first of each group, then the second of each, and so on."""
    seen: Counter[Hashable] = Counter()
    turns = []
    for group in groups:
        turns.append(seen[group])
        seen[group] += 1
    return sorted(range(len(groups)), key=turns.__getitem__)


def within(budget: int, sizes: Iterable[int]) -> int:
    """Return how many things fit into a budget, taken in order."""
    count = 0
    for size in sizes:
        budget -= size
        if budget < 0:
            break
        count += 1
    return count
