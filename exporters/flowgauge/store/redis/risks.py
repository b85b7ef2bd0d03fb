"""What Redis says of itself: who it is, and what the outbox depends on."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from redis.connection import ConnectionPool
from redis.exceptions import ResponseError

from flowgauge.store.risks import Risk

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["ask_risks", "server_info"]

_FULL = 0.95


def server_info(pool: ConnectionPool) -> Mapping[str, Any]:
    """Return what the server says of itself."""
    info: Mapping[str, Any] = _client(pool).info("server")
    return info


def ask_risks(pool: ConnectionPool) -> Sequence[Risk]:
    """Return the risks; INFO tells most of them, which a managed Redis allows too."""
    client = _client(pool)
    info: Mapping[str, Any] = client.info()
    limit = info.get("maxmemory", 0)
    # No key of ours ever expires, and the other policies evict those that do.
    evicts = limit > 0 and str(info.get("maxmemory_policy")).startswith("allkeys-")
    saved = [info.get(name, "ok") for name in _LAST_SAVES]
    return [
        Risk("eviction", evicts),
        Risk("persistence", not info.get("aof_enabled") and _is_never_saved(client)),
        Risk("replica", info.get("role") != "master"),
        Risk("disk", any(status != "ok" for status in saved)),
        Risk("memory", limit > 0 and not evicts and info["used_memory"] > limit * _FULL),
    ]


_LAST_SAVES = ("rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status")


def _client(pool: ConnectionPool) -> "Redis":
    # Loads all of redis-py, which knows how to read these answers.
    from redis import Redis  # noqa: PLC0415

    return Redis(connection_pool=pool)


def _is_never_saved(client: "Redis") -> bool | None:
    try:
        return not client.config_get("save")["save"]
    except (ResponseError, KeyError):
        # Forbidden, renamed or unknown, as where Redis is managed.
        return None
