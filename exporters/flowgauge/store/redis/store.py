"""The store in Redis."""

from flowgauge.store.errors import StoreError
from flowgauge.store.redis.connection import RedisConnection
from flowgauge.store.redis.from_0_1 import RedisCounts
from flowgauge.store.steps import StepOutbox, StepWindows

__all__ = ["RedisStore"]


class RedisStore:
    """A `Store` in the Redis at *url*; its clock is Redis' own, and every step is one script."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        redis = RedisConnection(url, timeout_seconds)
        self.windows = StepWindows(redis.step)
        self.counts = RedisCounts(redis.step)
        self.outbox = StepOutbox(redis.step)
        self.about = redis.version
        self.close = redis.close

    def init(self, *roles: str) -> None:
        """See `Store.init`."""
        if roles:
            raise StoreError("flowgauge grants no roles in Redis: see Redis' own ACL SETUSER")
        self.windows.states()
