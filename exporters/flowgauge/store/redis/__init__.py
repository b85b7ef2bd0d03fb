"""The store in Redis: for everything that runs on many hosts."""

from flowgauge.store.redis.store import RedisStore

__all__ = ["RedisStore"]
