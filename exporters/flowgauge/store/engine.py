"""Which engine is behind a store's URL."""

import sqlite3
from contextlib import closing

__all__ = ["engine"]

_REDIS = ("redis://", "rediss://", "unix://")


def engine(url: str, *, timeout_seconds: float) -> tuple[str, str]:
    """Return name and version of what keeps the store at *url*; the version is `""` if untold.

    The name is `sqlite`, `redis` or `valkey`, else the URL's scheme.
    """
    if url.startswith("sqlite:"):
        return "sqlite", sqlite3.sqlite_version
    if url.startswith(_REDIS):
        return _ask_redis(url, timeout_seconds)
    return url.partition("://")[0], ""


def _ask_redis(url: str, timeout_seconds: float) -> tuple[str, str]:
    # Most installations have no Redis: they need not pay for its client.
    import redis  # noqa: PLC0415 (see above)

    connecting = redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_connect_timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
    )
    try:
        with closing(connecting) as client:
            said = client.info("server")
    except redis.RedisError:  # the store's user may not be allowed to ask
        return "redis", ""
    # Valkey calls itself Redis 7.2 too, for clients that compare versions.
    if version := said.get("valkey_version"):
        return "valkey", str(version)
    return "redis", str(said.get("redis_version", ""))
