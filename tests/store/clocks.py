"""Stores whose clock the test moves: each engine's own clock, and nothing else, is replaced."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest

from flowgauge.store import Store, open_store
from flowgauge.store.redis import engine
from flowgauge.store.sqlite import SqliteEngine
from stack.redis import client_at

__all__ = ["Clock", "clocked_store"]

_TIMEOUT_SECONDS = 20


class Clock:
    """A time in microseconds; *tell* lets the engine know of it."""

    def __init__(self, tell: Callable[[int], object] = lambda _: None) -> None:
        self._tell = tell
        self.now = 1_700_000_000_000_000

    def __call__(self) -> float:
        """Return it in seconds."""
        return self.now / 1e6

    @property
    def now(self) -> int:
        """What the engine takes for the time."""
        return self._now

    @now.setter
    def now(self, us: int) -> None:
        self._now = us
        self._tell(us)


@contextmanager
def clocked_store(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Store, Clock]]:
    """Yield the store at *url* and its clock."""
    with (
        _CLOCKED[url.partition(":")[0]](url, monkeypatch) as (store, clock),
        closing(store),
    ):
        yield store, clock


@contextmanager
def _sqlite(url: str, _: pytest.MonkeyPatch) -> Iterator[tuple[Store, Clock]]:
    clock = Clock()
    yield Store(SqliteEngine(url, timeout_seconds=_TIMEOUT_SECONDS, clock=clock)), clock


@contextmanager
def _redis(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Store, Clock]]:
    read = engine._source
    key = "{flowgauge}:clock"
    real = "local time = redis.call('TIME')\n  return time[1] * 1000000 + time[2]"
    moved = f"return tonumber(redis.call('GET', '{key}'))"

    def source(name: str) -> str:
        text = read(name)
        assert real in text
        return text.replace(real, moved)

    monkeypatch.setattr(engine, "_source", source)
    with closing(client_at(url)) as client:
        clock = Clock(lambda us: client.set(key, us))
        yield open_store(url, timeout_seconds=_TIMEOUT_SECONDS), clock


@contextmanager
def _postgres(url: str, _: pytest.MonkeyPatch) -> Iterator[tuple[Store, Clock]]:
    store = open_store(url, timeout_seconds=_TIMEOUT_SECONDS)
    store.init()
    with psycopg.connect(url, autocommit=True) as client:
        client.execute("CREATE TABLE flowgauge.clock AS SELECT 0::bigint AS us")
        client.execute(
            "CREATE OR REPLACE FUNCTION flowgauge.now_us() RETURNS bigint LANGUAGE sql AS"
            " 'SELECT us FROM flowgauge.clock'"
        )
        tell = "UPDATE flowgauge.clock SET us = %s"
        yield store, Clock(lambda us: client.execute(tell, [us]))


_CLOCKED = {
    "sqlite": _sqlite,
    "redis": _redis,
    "redis+sentinel": _redis,
    "redis+cluster": _redis,
    "postgresql": _postgres,
}
