"""One Redis shared by many processes and hosts, and the scripts that run in it."""

import json
import os
import time
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from flowgauge.loading import loading
from flowgauge.store.engine import DURABLE_STEPS, is_first_page, reading
from flowgauge.store.errors import StoreError, StoreUnavailableError
from flowgauge.store.redis.connections import (
    Command,
    NotRedisError,
    Pool,
    RefusedError,
    deadline,
    seconds_left,
)
from flowgauge.store.redis.sentences import is_elsewhere, refusal
from flowgauge.store.redis.servers import Server, server_at
from flowgauge.store.redis.url import read_url

if TYPE_CHECKING:
    from flowgauge.store.risks import Risk

__all__ = ["RedisEngine"]

# The hash tag keeps all keys in one slot of a cluster: counting is one step with what is counted.
# Windows and outbox are those of version 0.1, and shared with it.
# A script finds most of its keys by itself, those of an entry in line or of a page of owners: the
# prefix, the only one that is named, says which slot they are in. No key has that name. So while
# the slot moves between two nodes of a cluster, the one that gives it away answers ASK, which is
# not followed: no script runs on half of the keys.
_PREFIX = "{flowgauge}:"

_SCHEMA_VERSION = "2"
_NEWER = "FLOWGAUGE "
_LONGEST_VERSION = 40
_LUA = Path(__file__).with_name("lua")
_LIBRARIES = ("common", "counts", "window", "outbox", "from_0_1")
# Between two looks for where the store went.
_PAUSE_SECONDS = 0.05
# Redis gives up waiting for replicas before we do: its answer says how many there are.
_REPLICAS_SHARE = 0.8


_T = TypeVar("_T")


class RedisEngine:
    """Scripts run atomically on the Redis that *url* names, which is connected to on first use.

    Safe for threads and forks. A step waits out a fail-over within its time-out, if it is sure that
    nothing was done yet.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = read_url(url, timeout_seconds)
        self._timeout = self._url.timeout_seconds or timeout_seconds
        # By process: a fork may come while another thread holds a client's locks.
        self._servers: dict[int, Server] = {}

    def step(self, name: str, /, *arguments: str | int) -> Any:
        """See `Engine`; what version 0.1 counted is taken over before counts are read."""
        if is_first_page(name, *arguments):
            # No task reads counts.
            with loading():
                from flowgauge.store.redis.from_0_1 import take_over  # noqa: PLC0415

            with reading(name):
                take_over(self._run)
        return self._run(name, *arguments)

    def _run(self, name: str, /, *arguments: str | int) -> Any:
        """Run the script of that name, which is atomic, and return its answer."""
        replicas = self._url.wait_replicas if name in DURABLE_STEPS else 0
        reply, confirmed = self._in_time(lambda pool: _call(pool, name, arguments, replicas))
        if confirmed < replicas:
            raise StoreUnavailableError(
                f"{self._url.shown} took it, but only {confirmed} of {replicas} replicas confirmed"
                " it in time: a fail-over may lose it"
            )
        return reply

    def about(self) -> str:
        """See `Engine.about`; Valkey goes by its own name."""
        from flowgauge.store.redis.risks import server_name  # noqa: PLC0415 - no task asks

        return self._in_time(server_name)

    def risks(self) -> "Sequence[Risk]":
        """See `Engine.risks`."""
        from flowgauge.store.redis.risks import ask_risks  # noqa: PLC0415 - no task asks

        return self._in_time(ask_risks)

    def init(self, *roles: str) -> None:
        """See `Engine.init`."""
        if roles:
            raise StoreError("flowgauge grants no roles in Redis: see Redis' own ACL SETUSER")
        self.step("windows")

    def close(self) -> None:
        """See `Engine.close`."""
        if server := self._servers.pop(os.getpid(), None):
            server.close()

    def _server(self) -> Server:
        me = os.getpid()
        if me not in self._servers:
            # The first one may load more.
            with loading():
                self._servers[me] = server_at(self._url, _PREFIX, self._timeout)
        return self._servers[me]

    def _in_time(self, ask: Callable[[Pool], _T]) -> _T:
        """Ask the Redis that has the store, wherever it goes, and end within the time-out."""
        server = self._server()
        moved: Exception | None = None
        with deadline(time.monotonic() + self._timeout):
            while True:
                try:
                    return ask(server.pool())
                # What is no Redis answers what it likes.
                except Exception as error:
                    server.look_again()
                    if is_elsewhere(error):
                        moved = error
                    if not server.moves or moved is not error or _is_over():
                        # Where it went says more than that there was no time left to find it.
                        why = moved if moved and isinstance(error, TimeoutError) else error
                        raise self._in_a_sentence(why) from error

    def _in_a_sentence(self, error: Exception) -> StoreError:
        if str(error).startswith(_NEWER):
            version = str(error).removeprefix(_NEWER)[:_LONGEST_VERSION]
            return StoreError(
                f"{self._url.shown} has schema version {version!r}, this"
                f" flowgauge knows {_SCHEMA_VERSION}: upgrade flowgauge, or name another database"
            )
        return refusal(self._url.shown, error)


def _is_over() -> bool:
    """Pause, and return whether there was no time left for it."""
    try:
        if seconds_left() < 2 * _PAUSE_SECONDS:
            return True
    except TimeoutError:
        return True
    time.sleep(_PAUSE_SECONDS)
    return False


def _call(pool: Pool, name: str, arguments: Sequence[str | int], replicas: int) -> tuple[Any, int]:
    """Return the script's answer, and how many replicas confirmed what it wrote."""
    source = _source(name)
    digest = sha1(source.encode(), usedforsecurity=False).hexdigest()
    for command, script in (("EVALSHA", digest), ("EVAL", source)):
        call = (command, script, 1, _PREFIX, *arguments)
        try:
            answer, *confirmed = pool.ask(call, *_confirming(replicas))
            return _read(answer), sum(confirmed)
        except RefusedError as refused:
            if refused.code != "NOSCRIPT":
                raise
    raise AssertionError("EVAL needs no script that is there")


def _read(answer: Any) -> Any:
    """Return a script's answer: JSON, or a number or nothing as it is."""
    if isinstance(answer, list):
        raise NotRedisError("a list, which no script of ours answers")
    return json.loads(answer) if isinstance(answer, str) else answer


def _confirming(replicas: int) -> Sequence[Command]:
    """Return the command that waits for replicas, if it is to: for what its connection wrote."""
    milliseconds = max(int(seconds_left() * 1000 * _REPLICAS_SHARE), 1)
    return [("WAIT", replicas, milliseconds)] if replicas else []


@cache
def _source(step: str) -> str:
    files = [(_LUA / f"{each}.lua").read_text() for each in (*_LIBRARIES, step)]
    return "\n".join((f"local SCHEMA_VERSION = '{_SCHEMA_VERSION}'", *files))
