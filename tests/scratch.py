"""Transactions of a real store in which a test tries things: seen within the block, and gone after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sciu.purification.store.store import Store, Transaction


class TakenBackError(Exception):
    """Nothing of the transaction is kept."""


@contextmanager
def trying(store: Store) -> Iterator[Transaction]:
    """Write into a store, and take all of it back."""
    with suppress(TakenBackError), store.writing() as transaction:
        yield transaction
        raise TakenBackError
