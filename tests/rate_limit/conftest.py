"""A store for the tasks of these tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowgauge.store import Store, open_store
from stack.postgres import Postgres, postgres
from stack.redis import (
    RedisCluster,
    SentinelSet,
    redis_cluster,
    redis_server,
    sentinel_set,
)


@pytest.fixture
def own_redis(folder: Path) -> Iterator[str]:
    """A Redis that the test may stop."""
    with redis_server(folder) as url:
        yield url


@pytest.fixture
def own_sentinels(folder: Path) -> Iterator[SentinelSet]:
    """A Redis with Sentinels of the test's own."""
    with sentinel_set(folder / "sentinels") as running:
        yield running


@pytest.fixture
def own_cluster(folder: Path) -> Iterator[RedisCluster]:
    """A Redis Cluster of the test's own."""
    with redis_cluster(folder / "cluster", "{flowgauge}:") as running:
        yield running


@pytest.fixture
def own_postgres(folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL of the test's own."""
    with postgres(folder / "postgres") as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
def store_url(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store, which FLOWGAUGE_STORE names."""
    url = f"sqlite:///{folder}/store.db"
    if request.param == "redis":
        url = request.getfixturevalue("own_redis")
    elif request.param == "redis+sentinel":
        url = request.getfixturevalue("own_sentinels").url
    elif request.param == "redis+cluster":
        url = request.getfixturevalue("own_cluster").url
    elif request.param == "postgresql":
        url = request.getfixturevalue("own_postgres").url
    monkeypatch.setitem(os.environ, "FLOWGAUGE_STORE", url)
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """The same store, to look into."""
    opened = open_store(store_url, timeout_seconds=10)
    yield opened
    opened.close()
