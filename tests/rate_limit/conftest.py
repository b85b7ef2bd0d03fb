"""A store for the tasks of these tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowgauge.store import Store, open_store
from stack.redis import redis_server


@pytest.fixture
def own_redis(folder: Path) -> Iterator[str]:
    """A Redis that the test may stop."""
    with redis_server(folder) as url:
        yield url


@pytest.fixture(params=["sqlite", "redis"])
def store_url(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store, which FLOWGAUGE_STORE names."""
    if request.param == "redis":
        url: str = request.getfixturevalue("own_redis")
    else:
        url = f"sqlite:///{folder}/store.db"
    monkeypatch.setitem(os.environ, "FLOWGAUGE_STORE", url)
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """The same store, to look into."""
    opened = open_store(store_url, timeout_seconds=10)
    yield opened
    opened.close()
