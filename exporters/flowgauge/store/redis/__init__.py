"""The store in Redis: for everything that runs on many hosts."""

from flowgauge.store.redis.engine import RedisEngine

__all__ = ["RedisEngine"]
