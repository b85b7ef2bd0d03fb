"""The store in Redis."""

from flowgauge.store.redis.connection import RedisConnection
from flowgauge.store.redis.counts import RedisCounts
from flowgauge.store.redis.outbox import RedisOutbox
from flowgauge.store.redis.windows import RedisWindows

__all__ = ["RedisStore"]


class RedisStore:
    """A `Store` in the Redis at *url*; its clock is Redis' own."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        redis = RedisConnection(url, timeout_seconds)
        self.windows = RedisWindows(redis)
        self.counts = RedisCounts(redis)
        self.outbox = RedisOutbox(redis)
        self.about = redis.version
        self.close = redis.close
