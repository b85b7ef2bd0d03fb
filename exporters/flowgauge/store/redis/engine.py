"""One Redis shared by many processes and hosts, and the scripts that run in it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from flowgauge.redact import redact_text, redact_url
from flowgauge.store.errors import StoreError, StoreUnavailableError
from flowgauge.store.from_0_1 import is_first_page
from flowgauge.store.redis.from_0_1 import take_over

__all__ = ["RedisEngine"]

# The hash tag keeps all keys in one slot of a Redis Cluster: counting is one step with what is
# counted. Windows and outbox are those of version 0.1, and shared with it.
_PREFIX = "{flowgauge}:"

_SCHEMA_VERSION = "2"
_NEWER = "FLOWGAUGE "
_LUA = Path(__file__).with_name("lua")
_LIBRARIES = ("common", "counts", "window", "outbox", "from_0_1")
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


class RedisEngine:
    """Scripts run atomically on the Redis at *url*, which is connected to on first use.

    Safe for threads and forks, as redis-py's connection pool is.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._name = f"the store {redact_url(url)}"
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

    def step(self, name: str, /, *arguments: str | int) -> Any:
        """See `Engine`; what version 0.1 counted is taken over before counts are read."""
        if is_first_page(name, *arguments):
            take_over(self._run)
        return self._run(name, *arguments)

    def _run(self, name: str, /, *arguments: str | int) -> Any:
        """Run the script of that name, which is atomic, and return its answer."""
        source = _source(name)
        digest = sha1(source.encode(), usedforsecurity=False).hexdigest()
        with self._sentences():
            try:
                reply = self._client.evalsha(digest, 1, _PREFIX, *arguments)
            except redis.exceptions.NoScriptError:
                reply = self._client.eval(source, 1, _PREFIX, *arguments)
        return json.loads(reply) if isinstance(reply, str) else reply

    def about(self) -> str:
        """See `Engine.about`; Valkey goes by its own name."""
        with self._sentences():
            info: dict[str, str] = self._client.info("server")
        if "valkey_version" in info:
            return f"Valkey {info['valkey_version']}"
        return f"Redis {info['redis_version']}"

    def init(self, *roles: str) -> None:
        """See `Engine.init`."""
        if roles:
            raise StoreError("flowgauge grants no roles in Redis: see Redis' own ACL SETUSER")
        self.step("windows")

    def close(self) -> None:
        """See `Engine.close`."""
        self._client.close()

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise self._in_a_sentence(error) from error

    def _in_a_sentence(self, error: redis.RedisError) -> StoreError:
        text = redact_text(str(error))
        if text.startswith(_NEWER):
            return StoreError(
                f"{self._name} has schema version {text.removeprefix(_NEWER)!r}, this flowgauge"
                f" knows {_SCHEMA_VERSION}: upgrade flowgauge, or name another database"
            )
        kind, sentence = next(
            (kind, sentence) for cause, kind, sentence in _SENTENCES if isinstance(error, cause)
        )
        return kind(f"{self._name} {sentence.format(text)}")


@cache
def _source(step: str) -> str:
    files = [(_LUA / f"{each}.lua").read_text() for each in (*_LIBRARIES, step)]
    return "\n".join((f"local SCHEMA_VERSION = '{_SCHEMA_VERSION}'", *files))
