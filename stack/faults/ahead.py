"""A store as it will be: nobody waits until the leases of the dead are over."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import psycopg

from flowgauge.store import Store, open_store
from flowgauge.store.redis import engine as redis_engine
from flowgauge.store.sqlite import SqliteEngine

__all__ = ["store_ahead"]

_PATIENCE_SECONDS = 30.0
_REDIS_CLOCK = "return time[1] * 1000000 + time[2]"
_POSTGRES_CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


@contextmanager
def store_ahead(url: str, seconds: float) -> Iterator[Store]:
    """Yield the store at *url*, whose clock is *seconds* ahead: the engine's own, nothing else."""
    with _AHEAD[url.partition(":")[0]](url, round(seconds)) as store, closing(store):
        yield store


@contextmanager
def _sqlite(url: str, seconds: int) -> Iterator[Store]:
    clock = lambda: time.time() + seconds  # noqa: E731
    yield Store(SqliteEngine(url, timeout_seconds=_PATIENCE_SECONDS, clock=clock))


@contextmanager
def _redis(url: str, seconds: int) -> Iterator[Store]:
    source = redis_engine._source  # noqa: SLF001

    def ahead(name: str) -> str:
        text = source(name)
        assert _REDIS_CLOCK in text
        return text.replace(_REDIS_CLOCK, f"{_REDIS_CLOCK} + {seconds} * 1000000")

    redis_engine._source = ahead  # type: ignore[assignment]  # noqa: SLF001
    try:
        yield open_store(url, timeout_seconds=_PATIENCE_SECONDS)
    finally:
        redis_engine._source = source  # noqa: SLF001


@contextmanager
def _postgresql(url: str, seconds: int) -> Iterator[Store]:
    with psycopg.connect(url, autocommit=True) as client:
        client.execute(
            "CREATE OR REPLACE FUNCTION flowgauge.now_us() RETURNS bigint LANGUAGE sql AS"
            f" '{_POSTGRES_CLOCK} + {seconds} * 1000000'"
        )
    yield open_store(url, timeout_seconds=_PATIENCE_SECONDS)


_AHEAD: dict[str, Callable[[str, int], AbstractContextManager[Store]]] = {
    "sqlite": _sqlite,
    "redis": _redis,
    "postgresql": _postgresql,
}
