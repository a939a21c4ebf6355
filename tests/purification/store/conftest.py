"""An empty store that stays empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sciu.purification.store.store import Store


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """For `trying`; the examples of hypothesis share their fixtures."""
    store = Store(tmp_path_factory.mktemp("scratch"), create=True)
    yield store
    store.close()
