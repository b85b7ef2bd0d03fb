"""What Redis says of itself: who it is, and what the outbox depends on."""

from collections.abc import Mapping, Sequence

from flowgauge.store.redis.connections import Pool, RefusedError
from flowgauge.store.risks import Risk

__all__ = ["ask_risks", "server_name"]

_FULL = 0.95


def server_name(pool: Pool) -> str:
    """Return the server's name and version."""
    info = _info(pool)
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"


def _info(pool: Pool) -> Mapping[str, str]:
    (answer,) = pool.ask(("INFO",))
    lines = (line.partition(":") for line in answer.splitlines())
    return {name: value for name, _, value in lines}


def ask_risks(pool: Pool) -> Sequence[Risk]:
    """Return the risks; INFO tells most of them, which a managed Redis allows too."""
    info = _info(pool)
    limit = int(info.get("maxmemory", 0))
    # No key of ours ever expires, and the other policies evict those that do.
    evicts = limit > 0 and info.get("maxmemory_policy", "").startswith("allkeys-")
    is_written = info.get("aof_enabled") == "1"
    has_snapshots = False if is_written else _has_snapshots(pool)
    is_lost = False if is_written else None if has_snapshots is None else not has_snapshots
    saved = [info.get(name, "ok") for name in _LAST_SAVES]
    is_full = limit > 0 and not evicts and int(info["used_memory"]) > limit * _FULL
    return [
        Risk("eviction", evicts),
        Risk("persistence", is_lost),
        Risk("snapshots", has_snapshots),
        Risk("replica", info.get("role") != "master"),
        Risk("disk", any(status != "ok" for status in saved)),
        Risk("memory", is_full),
    ]


_LAST_SAVES = ("rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status")


def _has_snapshots(pool: Pool) -> bool | None:
    # Forbidden, renamed or unknown, as where Redis is managed, it is answered otherwise.
    try:
        ((_, when),) = pool.ask(("CONFIG", "GET", "save"))
    except (RefusedError, ValueError):
        return None
    return bool(when)
