"""The engines, by the scheme of a store's URL. A further one is a folder and a line here."""

from collections.abc import Callable
from importlib import import_module

from flowgauge.store.store import Store

__all__ = ["ENGINES", "load_engine"]

# Each is imported where it is used: most installations have one, and need not pay for the others.
ENGINES = {
    "sqlite": "flowgauge.store.sqlite:SqliteStore",
    "redis": "flowgauge.store.redis:RedisStore",
    "rediss": "flowgauge.store.redis:RedisStore",
    "unix": "flowgauge.store.redis:RedisStore",
}


def load_engine(scheme: str) -> Callable[..., Store]:
    """Return the class of a scheme in `ENGINES`; it is called with a URL and `timeout_seconds`."""
    module, _, name = ENGINES[scheme].partition(":")
    engine: Callable[..., Store] = getattr(import_module(module), name)
    return engine
