"""Connections of redis-py that keep to a deadline.

redis-py has a time-out for each look-up, address, handshake and answer: a step on a new connection
takes several of them. Here all that a thread does within `deadline` ends by it.
"""

# What the first look-up of a name would load, where another thread may fork.
import encodings.idna  # noqa: F401
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillRunning
from contextlib import contextmanager
from functools import cache
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from flowgauge.background import in_background

__all__ = ["NoMasterError", "NotConnectedError", "deadline", "in_time", "seconds_left"]


class NotConnectedError(RedisConnectionError):
    """There was no connection, so nothing was sent."""


class NoMasterError(RedisConnectionError):
    """The Sentinels know of no master, so nothing was sent."""


class _Thread(threading.local):
    deadline = 0.0


_this = _Thread()


@contextmanager
def deadline(at: float) -> Iterator[None]:
    """Let what this thread does in the block end by a time of `time.monotonic`."""
    before, _this.deadline = _this.deadline, at
    try:
        yield
    finally:
        _this.deadline = before


def seconds_left() -> float:
    """Return the seconds until this thread's deadline; raise `RedisTimeoutError` after it."""
    left = _this.deadline - time.monotonic()
    if left <= 0:
        raise RedisTimeoutError("timeout")
    return left


class _InTime:
    """Comes before a kind of connection."""

    _connecting: Future[None] | None = None
    _sock: Any

    def connect(self) -> None:
        # A pool may hand out a connection again that was still being made when it was given up.
        if not self._connecting or self._connecting.done():
            if self._sock:
                return
            until, connect = _this.deadline, super().connect  # type: ignore[misc]  # the kind's

            def work() -> None:
                with deadline(until):
                    connect()

            self._connecting = in_background(work, "flowgauge-redis")
        try:
            self._connecting.result(seconds_left())
        except StillRunning:
            raise RedisTimeoutError("timeout") from None
        except RedisConnectionError as error:
            # Those of a class of their own say more: a wrong login, no master.
            if type(error) is RedisConnectionError:
                raise NotConnectedError(str(error)) from error
            # Its class is loaded only where there are Sentinels.
            if type(error).__name__ == "MasterNotFoundError":
                raise NoMasterError(str(error)) from error
            raise

    def send_packed_command(self, *arguments: Any, **options: Any) -> Any:
        self._keep_to_the_deadline()
        return super().send_packed_command(*arguments, **options)  # type: ignore[misc]

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        self._keep_to_the_deadline()
        return super().read_response(*arguments, **options)  # type: ignore[misc]

    def _keep_to_the_deadline(self) -> None:
        if self._sock:
            self._sock.settimeout(seconds_left())


@cache
def in_time(kind: Any) -> Any:
    """Return a *kind* of redis-py's connections that keeps to its thread's deadline."""
    return type(f"InTime{kind.__name__}", (_InTime, kind), {})
