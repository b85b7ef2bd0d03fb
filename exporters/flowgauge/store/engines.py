"""The engines, by the scheme of a store's URL. A further one is a folder and a line here."""

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from flowgauge.loading import loading
from flowgauge.redact import quote
from flowgauge.store import engine
from flowgauge.store.errors import StoreError

__all__ = ["ENGINES", "Engine"]


class Engine(NamedTuple):
    """Where an engine is, an example of its URL, and the extra that brings its client."""

    path: str
    example: str
    extra: str = ""

    def load(self) -> Callable[..., engine.Engine]:
        """Return its class, which is called with a URL and `timeout_seconds`.

        It is imported only here: most installations have one engine, and need not pay for the
        others. Raises `StoreError` if its client is not installed, or does not load.
        """
        module, _, name = self.path.partition(":")
        try:
            with loading():
                loaded: Callable[..., engine.Engine] = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            raise StoreError(
                f"a store such as {self.example} needs {error.name}, which is not installed:"
                f" pip install 'flowgauge[{self.extra}]'"
            ) from None
        # A half upgrade, or a psycopg without its library: it fails as it likes, a task must not.
        except Exception as error:
            raise StoreError(
                f"a store such as {self.example} needs a client that does not load"
                f" ({type(error).__name__}: {quote(str(error))}):"
                f" pip install --force-reinstall 'flowgauge[{self.extra}]'"
            ) from error
        return loaded


_SQLITE = Engine("flowgauge.store.sqlite:SqliteEngine", "sqlite:///path/to/file.db")
_REDIS = Engine("flowgauge.store.redis:RedisEngine", "redis://host:6379/0")
_POSTGRES = Engine("flowgauge.store.postgres:PostgresEngine", "postgresql://host/name", "postgres")

ENGINES = {
    "sqlite": _SQLITE,
    "redis": _REDIS,
    "rediss": _REDIS,
    "redis+sentinel": _REDIS,
    "rediss+sentinel": _REDIS,
    "redis+cluster": _REDIS,
    "rediss+cluster": _REDIS,
    "unix": _REDIS,
    "postgresql": _POSTGRES,
    "postgres": _POSTGRES,
}
