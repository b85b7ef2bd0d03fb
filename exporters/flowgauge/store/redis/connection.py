"""One Redis shared by many processes and hosts, and the scripts that run in it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from flowgauge.redact import redact_text, redact_url
from flowgauge.store.base import StoreError, StoreUnavailableError

__all__ = ["RedisConnection"]

_PREFIX = "{flowgauge}:"

_SCHEMA_VERSION = "1"
_VERSION_KEY = f"{_PREFIX}version"
_LUA = Path(__file__).with_name("lua")
# Refusals that end by themselves or when somebody repairs the server, by the word they start with.
_TRANSIENT = ("OOM", "MISCONF", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "NOREPLICAS", "BUSY")


class RedisConnection:
    """Scripts run atomically on the Redis at *url*, which is connected to on first use.

    Safe for threads and forks, as redis-py's connection pool is.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._name = f"the store {redact_url(url)}"
        self._checked = False
        try:
            self._client = redis.Redis.from_url(
                url,
                decode_responses=True,
                # A call may connect first and then wait for the answer: together in time.
                socket_connect_timeout=timeout_seconds / 2,
                socket_timeout=timeout_seconds / 2,
                # A second try would go beyond the time-out, and count twice what was only slow.
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:
            raise StoreError(f"{self._name} is no Redis URL: {redact_text(str(error))}") from None

    def script(self, *names: str) -> Callable[..., Any]:
        """Return a function that runs the files *names* as one script with its arguments."""
        text = "\n".join((_LUA / f"{name}.lua").read_text() for name in ("common", *names))
        registered = self._client.register_script(text)

        def run(*arguments: str | float) -> Any:
            with self._sentences():
                self._check_version()
                return registered(keys=[_PREFIX], args=arguments)

        return run

    def close(self) -> None:
        """Close the connections; a later script opens a new one."""
        self._client.close()

    def _check_version(self) -> None:
        if self._checked:
            return
        self._client.set(_VERSION_KEY, _SCHEMA_VERSION, nx=True)
        version = self._client.get(_VERSION_KEY)
        if version != _SCHEMA_VERSION:
            raise StoreError(
                f"{self._name} has schema version {version!r}, this flowgauge knows"
                f" {_SCHEMA_VERSION}: upgrade flowgauge, or name another database"
            )
        self._checked = True

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except redis.TimeoutError as error:
            raise StoreUnavailableError(f"{self._name} does not answer in time") from error
        except redis.AuthenticationError as error:
            raise StoreError(f"{self._name} refuses the login: check user and password") from error
        except redis.BusyLoadingError as error:
            raise StoreUnavailableError(f"{self._name} is still loading its data") from error
        except redis.ReadOnlyError as error:
            raise StoreUnavailableError(
                f"{self._name} is a read-only replica: name the primary"
            ) from error
        except redis.ConnectionError as error:
            raise StoreUnavailableError(
                f"{self._name} cannot be reached: {redact_text(str(error))}"
            ) from error
        except redis.RedisError as error:
            kind = StoreUnavailableError if str(error).startswith(_TRANSIENT) else StoreError
            raise kind(f"{self._name} refuses: {redact_text(str(error))}") from error
