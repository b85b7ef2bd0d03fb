"""One store of each kind: the contract's tests run over all."""

from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest
import redis

from flowgauge.store import Store, open_store
from stack.postgres import Postgres, postgres
from stack.redis import (
    RedisCluster,
    SentinelSet,
    client_of,
    redis_cluster,
    redis_server,
    sentinel_set,
)

_TIMEOUT_SECONDS = 30


@pytest.fixture(scope="session")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis that only these tests use: they empty it."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="session")
def own_sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelSet]:
    """A Redis with replica and Sentinels that only these tests use."""
    with sentinel_set(tmp_path_factory.mktemp("sentinels")) as running:
        yield running


@pytest.fixture(scope="session")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """A Redis Cluster that only these tests use."""
    with redis_cluster(tmp_path_factory.mktemp("cluster"), "{flowgauge}:") as running:
        yield running


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


def _sentinel(request: pytest.FixtureRequest) -> str:
    sentinels: SentinelSet = request.getfixturevalue("own_sentinels")
    with closing(client_of(sentinels.master)) as master:
        master.flushall()
    return sentinels.url


def _cluster(request: pytest.FixtureRequest) -> str:
    cluster: RedisCluster = request.getfixturevalue("own_cluster")
    cluster.flush()
    return cluster.url


def _postgres(request: pytest.FixtureRequest) -> str:
    server: Postgres = request.getfixturevalue("own_postgres")
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS flowgauge CASCADE")
    return server.url


_EMPTY = {
    "sqlite": _sqlite,
    "redis": _redis,
    "redis+sentinel": _sentinel,
    "redis+cluster": _cluster,
    "postgresql": _postgres,
}
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
