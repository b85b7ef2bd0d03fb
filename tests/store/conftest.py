"""One store of each kind: the contract's tests run over both."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from flowgauge.store import Store, open_store
from stack.redis import redis_server


@pytest.fixture(scope="session")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis that only these tests use: they empty it."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(params=["sqlite", "redis"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    url: str = request.getfixturevalue("own_redis")
    redis.Redis.from_url(url).flushall()
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store, with more time than a task gives it: the machine may be busy."""
    opened = open_store(store_url, timeout_seconds=10)
    yield opened
    opened.close()


@pytest.fixture
def another(store_url: str) -> Iterator[Callable[[], Store]]:
    """Opens the same store again, as another process does."""
    opened: list[Store] = []

    def open_another() -> Store:
        opened.append(open_store(store_url, timeout_seconds=10))
        return opened[-1]

    yield open_another
    for one in opened:
        one.close()
