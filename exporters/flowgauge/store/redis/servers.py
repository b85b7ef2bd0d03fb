"""Where the Redis is that has the store: at its address, or wherever a fleet has it."""

from collections.abc import Mapping
from functools import cache
from inspect import signature
from typing import Any, Protocol

from redis.backoff import NoBackoff
from redis.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.retry import Retry

from flowgauge.loading import loading
from flowgauge.store.redis.connections import in_time
from flowgauge.store.redis.url import RedisUrl

__all__ = ["TEXTS", "Server", "pool_to", "server_at", "timeouts"]


class Server(Protocol):
    """Finds the Redis that has the store; for any number of threads."""

    moves: bool
    """Whether another Redis may take its place."""

    def pool(self) -> ConnectionPool:
        """Return connections to it, for use within the deadline that has to hold here too."""

    def look_again(self) -> None:
        """Forget where it was."""

    def close(self) -> None:
        """Let go of connections."""


TEXTS: Mapping[str, Any] = {"decode_responses": True, "encoding_errors": "replace"}
"""How a connection reads answers: whoever may write to a Redis may write what is no text."""


def server_at(url: RedisUrl, key: str, timeout_seconds: float) -> Server:
    """Return the server that *url* names, in a cluster the one that has *key*."""
    if url.kind == "one":
        return _One(url, timeout_seconds)
    # Loads all of redis-py.
    with loading():
        from flowgauge.store.redis.fleet import Cluster, Sentinels  # noqa: PLC0415

    if url.kind == "sentinel":
        return Sentinels(url, timeout_seconds)
    return Cluster(url, key, timeout_seconds)


def pool_to(url: RedisUrl, timeout_seconds: float, kind: Any, **where: Any) -> ConnectionPool:
    """Return connections of that *kind* to one server."""
    return ConnectionPool(
        in_time(kind),
        **timeouts(timeout_seconds),
        **_nameless(),
        **url.connection,
        **where,
        **TEXTS,
    )


@cache
def _nameless() -> Mapping[str, Any]:
    """Return what spares a new connection the two round trips in which redis-py says its name."""
    if "driver_info" in signature(AbstractConnection).parameters:
        return {"driver_info": None}
    # Before 8.
    return {"lib_name": None, "lib_version": None}


def timeouts(seconds: float) -> Mapping[str, Any]:
    """Return redis-py's time-outs, a further try among them."""
    return {
        "socket_connect_timeout": seconds,
        "socket_timeout": seconds,
        # A second try may count twice what was only slow.
        "retry": Retry(NoBackoff(), 0),
    }


class _One:
    moves = False

    def __init__(self, url: RedisUrl, timeout_seconds: float) -> None:
        kind: Any
        where: dict[str, Any]
        if url.path:
            kind, where = UnixDomainSocketConnection, {"path": url.path}
        else:
            ((host, port),) = url.addresses
            kind = SSLConnection if url.tls else Connection
            where = {"host": host, "port": port}
        self._pool = pool_to(url, timeout_seconds, kind, **where, db=url.db)

    def pool(self) -> ConnectionPool:
        return self._pool

    def look_again(self) -> None:
        pass

    def close(self) -> None:
        self._pool.disconnect()
