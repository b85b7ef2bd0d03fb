"""What Redis says of itself that the outbox depends on."""

from collections.abc import Mapping, Sequence
from typing import Any

import redis

from flowgauge.store.risks import Risk

__all__ = ["ask_risks"]

_FULL = 0.95


def ask_risks(client: redis.Redis) -> Sequence[Risk]:
    """Return the risks; INFO tells most of them, which a managed Redis allows too."""
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


def _is_never_saved(client: redis.Redis) -> bool | None:
    try:
        return not client.config_get("save")["save"]
    except (redis.ResponseError, KeyError):
        # Forbidden, renamed or unknown, as where Redis is managed.
        return None
