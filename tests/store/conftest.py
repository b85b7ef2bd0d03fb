"""One store of each kind: the contract's tests run over all."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
import redis

from flowgauge.store import Store, open_store
from stack.postgres import Postgres, postgres
from stack.redis import redis_server

_TIMEOUT_SECONDS = 30


@pytest.fixture(scope="session")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis that only these tests use: they empty it."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="session")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL that only these tests use: they empty it."""
    with postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


def _sqlite(request: pytest.FixtureRequest) -> str:
    return f"sqlite:///{request.getfixturevalue('tmp_path')}/store.db"


def _redis(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("own_redis")
    redis.Redis.from_url(url).flushall()
    return url


def _postgres(request: pytest.FixtureRequest) -> str:
    server: Postgres = request.getfixturevalue("own_postgres")
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS flowgauge CASCADE")
    return server.url


_EMPTY = {"sqlite": _sqlite, "redis": _redis, "postgresql": _postgres}
"""Returns the URL of an empty store, by engine: a further engine is a line here."""


@pytest.fixture(params=_EMPTY)
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store."""
    return _EMPTY[request.param](request)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store, with more time than a task gives it: the machine may be busy."""
    opened = open_store(store_url, timeout_seconds=_TIMEOUT_SECONDS)
    yield opened
    opened.close()


@pytest.fixture
def another(store_url: str) -> Iterator[Callable[[], Store]]:
    """Opens the same store again, as another process does."""
    opened: list[Store] = []

    def open_another() -> Store:
        opened.append(open_store(store_url, timeout_seconds=_TIMEOUT_SECONDS))
        return opened[-1]

    yield open_another
    for one in opened:
        one.close()
