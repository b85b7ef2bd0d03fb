"""One Redis shared by many processes and hosts, and the scripts that run in it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from flowgauge.redact import redact_text, redact_url
from flowgauge.store.base import GRACE_SECONDS, RECHECK_SECONDS, StoreError, StoreUnavailableError

__all__ = ["RedisConnection"]

_PREFIX = "{flowgauge}:"

_SCHEMA_VERSION = "1"
_VERSION_KEY = f"{_PREFIX}version"
_CONSTANTS = f"""\
local RECHECK_US, GRACE_US = {RECHECK_SECONDS * 1e6:.0f}, {GRACE_SECONDS * 1e6:.0f}"""
_LUA = Path(__file__).with_name("lua")
# The first that fits; the class says whether Redis may answer later.
_SENTENCES = (
    (redis.TimeoutError, StoreUnavailableError, "does not answer in time"),
    (redis.AuthenticationError, StoreError, "refuses the login: check user and password"),
    (redis.BusyLoadingError, StoreUnavailableError, "is still loading its data"),
    (redis.ReadOnlyError, StoreUnavailableError, "is a read-only replica: name the primary"),
    (redis.OutOfMemoryError, StoreUnavailableError, "is out of memory: raise its maxmemory"),
    (redis.ConnectionError, StoreUnavailableError, "cannot be reached: {}"),
    (redis.RedisError, StoreError, "refuses: {}"),
)


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
        files = [(_LUA / f"{name}.lua").read_text() for name in ("common", *names)]
        registered = self._client.register_script("\n".join((_CONSTANTS, *files)))

        def run(*arguments: str | float) -> Any:
            try:
                self._check_version()
                return registered(keys=[_PREFIX], args=arguments)
            except redis.RedisError as error:
                raise self._in_a_sentence(error) from error

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

    def _in_a_sentence(self, error: redis.RedisError) -> StoreError:
        kind, sentence = next(
            (kind, sentence) for cause, kind, sentence in _SENTENCES if isinstance(error, cause)
        )
        return kind(f"{self._name} {sentence.format(redact_text(str(error)))}")
