"""A Redis that moves: named by Sentinels, or in a cluster."""

from collections.abc import Mapping
from concurrent.futures import TimeoutError as StillRunning
from typing import Any

import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import Connection, ConnectionPool, SSLConnection
from redis.exceptions import RedisClusterException
from redis.sentinel import (
    Sentinel,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from flowgauge.background import in_background
from flowgauge.store.redis.connections import NotConnectedError, in_time, seconds_left
from flowgauge.store.redis.servers import TEXTS, pool_to, timeouts
from flowgauge.store.redis.url import RedisUrl

__all__ = ["Cluster", "Sentinels"]


class Sentinels:
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
        # Which would close the pool if it were let go.
        self._client: redis.Redis = self._sentinel.master_for(  # type: ignore[no-untyped-call]
            url.master,
            connection_class=in_time(kind),
            db=url.db,
            **TEXTS,
            **timeouts(timeout_seconds),
            **url.connection,
        )

    def pool(self) -> ConnectionPool:
        """See `Server.pool`."""
        return self._client.connection_pool

    def look_again(self) -> None:
        """See `Server.look_again`."""

    def close(self) -> None:
        """See `Server.close`."""
        self._client.close()
        for sentinel in self._sentinel.sentinels:
            sentinel.close()


class Cluster:
    """All keys of the store are in one slot, so one node has it; which one, may change."""

    moves = True

    def __init__(self, url: RedisUrl, key: str, timeout_seconds: float) -> None:
        self._url = url
        self._key = key
        self._timeout = timeout_seconds
        self._cluster: Any = None
        self._node: ConnectionPool | None = None

    def pool(self) -> ConnectionPool:
        """See `Server.pool`."""
        node = self._node
        if node is None:
            try:
                host, port = in_background(self._find, "flowgauge-redis").result(seconds_left())
            except StillRunning:
                raise redis.TimeoutError("timeout") from None
            kind = SSLConnection if self._url.tls else Connection
            node = self._node = pool_to(self._url, self._timeout, kind, host=host, port=port)
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
        """See `Server.look_again`."""
        self._node = None

    def close(self) -> None:
        """See `Server.close`."""
        self.look_again()
        if self._cluster:
            self._cluster.close()
            self._cluster = None


def _share(url: RedisUrl, timeout_seconds: float) -> Mapping[str, Any]:
    """Return time-outs for asking one of several who knows: others may be dead before it."""
    # Each may take one for the connection and one for the answer; half is left for the step.
    return timeouts(timeout_seconds / (4 * len(url.addresses)))


def _tls(url: RedisUrl) -> Mapping[str, Any]:
    if not url.tls:
        return {}
    options = {name: value for name, value in url.connection.items() if name.startswith("ssl_")}
    return {"ssl": True, **options}
