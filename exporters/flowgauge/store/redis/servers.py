"""Where the Redis is that has the store: at its address, or wherever a fleet has it."""

import math
import socket
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from flowgauge.loading import loading
from flowgauge.store.redis.connections import Command, Connection, Pool, connected
from flowgauge.store.redis.url import RedisUrl

__all__ = ["Address", "Server", "pool_to", "server_at"]

Address = tuple[str, int] | str
"""Host and port, or the path of a socket."""

_SECRETS = ("password", "ssl_password")
# Who has more connections has no use for a bound.
_MANY = 10_000
# What is between, a firewall say, may forget a connection and tell nobody; a new one takes moments.
_IDLE_SECONDS = 60


class Server(Protocol):
    """Finds the Redis that has the store; for any number of threads."""

    moves: bool
    """Whether another Redis may take its place."""

    def pool(self) -> Pool:
        """Return connections to it, for use within the deadline that has to hold here too."""

    def look_again(self) -> None:
        """Forget where it was."""

    def close(self) -> None:
        """Let go of connections."""


def server_at(url: RedisUrl, key: str, timeout_seconds: float) -> Server:
    """Return the server that *url* names, in a cluster the one that has *key*."""
    if url.kind == "one":
        return _One(url, timeout_seconds)
    # Most stores are one server.
    with loading():
        from flowgauge.store.redis.fleet import cluster, sentinels  # noqa: PLC0415

    if url.kind == "sentinel":
        return sentinels(url, timeout_seconds)
    return cluster(url, key, timeout_seconds)


def pool_to(
    tls: bool, timeout_seconds: float, options: Mapping[str, Any], address: Address
) -> Pool:
    """Return connections to one server, with the *options* of a store's URL."""
    most = options.get("max_connections", 0)
    return Pool(
        partial(_connect, tls, options, address),
        timeout_seconds,
        most=most if 0 < most < _MANY else None,
        idle_seconds=options.get("health_check_interval", _IDLE_SECONDS) or math.inf,
    )


def _connect(tls: bool, options: Mapping[str, Any], address: Address) -> Connection:
    made = connected(address)
    try:
        if options.get("socket_keepalive"):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if tls:
            made = _over_tls(options, address[0], made)
        connection = Connection(made, [options[name] for name in _SECRETS if name in options])
        connection.ask(*_greeting(options))
    except BaseException:
        made.close()
        raise
    return connection


def _over_tls(options: Mapping[str, Any], host: str, plain: socket.socket) -> socket.socket:
    # Most stores do without.
    with loading():
        from flowgauge.store.redis.tls import over_tls  # noqa: PLC0415

    return over_tls(options, host, plain)


def _greeting(options: Mapping[str, Any]) -> list[Command]:
    user, password = options.get("username"), options.get("password")
    greeting: list[Command] = []
    if user:
        greeting.append(("AUTH", user, password or ""))
    elif password:
        greeting.append(("AUTH", password))
    if options.get("client_name"):
        greeting.append(("CLIENT", "SETNAME", options["client_name"]))
    if options.get("db"):
        greeting.append(("SELECT", options["db"]))
    return greeting


class _One:
    moves = False

    def __init__(self, url: RedisUrl, timeout_seconds: float) -> None:
        options = {**url.options, "db": url.db}
        address = url.path or url.addresses[0]
        self._pool = pool_to(url.tls, timeout_seconds, options, address)

    def pool(self) -> Pool:
        return self._pool

    def look_again(self) -> None:
        pass

    def close(self) -> None:
        self._pool.close()
