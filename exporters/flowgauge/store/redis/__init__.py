"""The store in Redis: for everything that runs on many hosts."""

from flowgauge.parts import import_parts

# Half of the time that `import redis` takes.
import_parts("redis", "connection", "exceptions", "backoff", "retry")

from flowgauge.store.redis.engine import RedisEngine  # noqa: E402 - see above

__all__ = ["RedisEngine"]
