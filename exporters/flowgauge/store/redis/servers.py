"""Where the Redis is that has the store: at its address, named by Sentinels, or in a cluster."""

from concurrent.futures import TimeoutError as StillRunning
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import (
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import RedisClusterException
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelManagedConnection, SentinelManagedSSLConnection

from flowgauge.background import in_background
from flowgauge.store.redis.connections import NotConnectedError, in_time, seconds_left
from flowgauge.store.redis.url import RedisUrl

__all__ = ["Server", "server_at"]


class Server(Protocol):
    """Finds the Redis that has the store; for any number of threads."""

    moves: bool
    """Whether another Redis may take its place."""

    def client(self) -> redis.Redis:
        """Return a client of it, for use within the deadline that has to hold here too."""

    def look_again(self) -> None:
        """Forget where it was."""

    def close(self) -> None:
        """Let go of connections."""


# Whoever may write to it may write what is no text.
_TEXTS: dict[str, Any] = {"decode_responses": True, "encoding_errors": "replace"}


def server_at(url: RedisUrl, key: str, timeout_seconds: float) -> Server:
    """Return the server that *url* names, in a cluster the one that has *key*."""
    if url.kind == "sentinel":
        return _Sentinels(url, timeout_seconds)
    if url.kind == "cluster":
        return _Cluster(url, key, timeout_seconds)
    return _One(url, timeout_seconds)


def _client(url: RedisUrl, timeout_seconds: float, kind: Any, **where: Any) -> redis.Redis:
    pool = redis.ConnectionPool(
        in_time(kind),
        **_timeouts(timeout_seconds),
        **url.connection,
        **where,
        **_TEXTS,
    )
    return redis.Redis(connection_pool=pool)


def _timeouts(seconds: float) -> dict[str, Any]:
    return {
        "socket_connect_timeout": seconds,
        "socket_timeout": seconds,
        # A second try may count twice what was only slow.
        "retry": Retry(NoBackoff(), 0),
    }


class _One:
    moves = False

    def __init__(self, url: RedisUrl, timeout_seconds: float) -> None:
        if url.path:
            self._client = _client(
                url, timeout_seconds, UnixDomainSocketConnection, path=url.path, db=url.db
            )
            return
        ((host, port),) = url.addresses
        kind = SSLConnection if url.tls else Connection
        self._client = _client(url, timeout_seconds, kind, host=host, port=port, db=url.db)

    def client(self) -> redis.Redis:
        return self._client

    def look_again(self) -> None:
        pass

    def close(self) -> None:
        self._client.close()


class _Sentinels:
    """Each new connection asks the Sentinels for the master."""

    moves = True

    def __init__(self, url: RedisUrl, timeout_seconds: float) -> None:
        kind = SentinelManagedSSLConnection if url.tls else SentinelManagedConnection
        self._sentinel = Sentinel(  # type: ignore[no-untyped-call]
            url.addresses,
            sentinel_kwargs={
                **_share(url, timeout_seconds),
                **_tls(url),
                **url.sentinel_login,
            },
        )
        self._client: redis.Redis = self._sentinel.master_for(  # type: ignore[no-untyped-call]
            url.master,
            connection_class=in_time(kind),
            db=url.db,
            **_TEXTS,
            **_timeouts(timeout_seconds),
            **url.connection,
        )

    def client(self) -> redis.Redis:
        return self._client

    def look_again(self) -> None:
        pass

    def close(self) -> None:
        self._client.close()
        for sentinel in self._sentinel.sentinels:
            sentinel.close()


class _Cluster:
    """All keys of the store are in one slot, so one node has it; which one, may change."""

    moves = True

    def __init__(self, url: RedisUrl, key: str, timeout_seconds: float) -> None:
        self._url = url
        self._key = key
        self._timeout = timeout_seconds
        self._cluster: Any = None
        self._node: redis.Redis | None = None

    def client(self) -> redis.Redis:
        node = self._node
        if node is None:
            try:
                host, port = in_background(self._find, "flowgauge-redis").result(seconds_left())
            except StillRunning:
                raise redis.TimeoutError("timeout") from None
            kind = SSLConnection if self._url.tls else Connection
            node = self._node = _client(self._url, self._timeout, kind, host=host, port=port)
        return node

    def _find(self) -> tuple[str, int]:
        try:
            if self._cluster is None:
                self._cluster = RedisCluster(
                    startup_nodes=[
                        ClusterNode(*address)  # type: ignore[no-untyped-call]
                        for address in self._url.addresses
                    ],
                    require_full_coverage=False,
                    **{k: v for k, v in _share(self._url, self._timeout).items() if k != "retry"},
                    **_tls(self._url),
                    **{k: v for k, v in self._url.connection.items() if not k.startswith("ssl_")},
                )
            else:
                self._cluster.nodes_manager.initialize()
            node = self._cluster.get_node_from_key(self._key)
        except RedisClusterException as error:
            cause = error.__cause__
            if isinstance(cause, redis.RedisError) and type(cause) is not redis.ConnectionError:
                raise cause from None
            if "Cluster mode is not enabled" in str(error):
                raise redis.ResponseError("Cluster mode is not enabled") from None
            raise NotConnectedError(str(error)) from error
        return node.host, node.port

    def look_again(self) -> None:
        self._node = None

    def close(self) -> None:
        self.look_again()
        if self._cluster:
            self._cluster.close()
            self._cluster = None


def _share(url: RedisUrl, timeout_seconds: float) -> dict[str, Any]:
    """Return time-outs for asking one of several who knows: others may be dead before it."""
    # Each may take one for the connection and one for the answer; half is left for the step.
    return _timeouts(timeout_seconds / (4 * len(url.addresses)))


def _tls(url: RedisUrl) -> dict[str, Any]:
    if not url.tls:
        return {}
    options = {name: value for name, value in url.connection.items() if name.startswith("ssl_")}
    return {"ssl": True, **options}
