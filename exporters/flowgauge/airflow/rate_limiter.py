"""The rate limit: a function is called so often in any window of time, by all tasks together."""

import asyncio
import functools
import inspect
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import closing, suppress
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar, cast
from uuid import uuid4

from flowgauge.airflow.context import current_task
from flowgauge.airflow.fail_open import fail_open
from flowgauge.airflow.host import stats
from flowgauge.airflow.limit_settings import limit_settings
from flowgauge.airflow.shared_store import shared_store
from flowgauge.airflow.turnstile import patiently
from flowgauge.airflow.variable_mirror import VariableMirror
from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.store.errors import StoreError
from flowgauge.store.store import Store
from flowgauge.store.windows import RECHECK_SECONDS, Grant

__all__ = ["RateLimit", "RateLimitExceeded", "rate_limit"]

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_log = logging.getLogger(__name__)


class RateLimitExceeded(FlowgaugeError):  # noqa: N818 - reads as what happened
    """The wait for the rate limit would be longer than the caller allows."""


def rate_limit(
    *,
    max_calls: int,
    window_seconds: float,
    variable_key: str,
    max_wait_seconds: float | None = None,
) -> Callable[[Callable[_Arguments, _Result]], Callable[_Arguments, _Result]]:
    """Let the decorated function, also an async one, be called *max_calls* times in any window.

    All functions of all processes that share the store and the *variable_key* count together. A
    call that finds the window full waits its turn; callers are served in the order they came. If
    the wait would exceed *max_wait_seconds*, the call raises `RateLimitExceeded` at once instead.

    `FLOWGAUGE_RATE_LIMITS` and `rate_limits` of the environment's file override both numbers, and
    `flowgauge rate-limit set` overrides all for everybody. A store that does not answer
    within half a second lets calls through, with a warning; one that others keep busy is asked
    again, as long as the call may wait, half a minute at most. In an Airflow task, the Variable
    `rate_limit:<variable_key>` shows the state as JSON; deleting it empties the window.
    """
    limit = RateLimit(variable_key, max_calls, window_seconds, max_wait_seconds)

    def decorate(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
        @functools.wraps(function)
        def limited(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
            limit.wait()
            return function(*args, **kwargs)

        @functools.wraps(function)
        async def limited_async(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> object:
            await limit.wait_async()
            return await function(*args, **kwargs)  # type: ignore[misc]  # a coroutine function

        if inspect.iscoroutinefunction(function):
            return cast("Callable[_Arguments, _Result]", limited_async)
        return limited

    return decorate


@dataclass(frozen=True)
class RateLimit:
    """At most *max_calls* calls in any *window_seconds* by all that share the store and the *key*.

    *clock* gives seconds, to measure how long a call has waited.
    """

    key: str
    max_calls: int
    window_seconds: float
    max_wait_seconds: float | None = None
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        if not self.key:
            raise UsageError("the rate limit has an empty key: name what is limited")
        if not self.key.isprintable():
            raise UsageError(f"the rate limit's key {self.key!r} has characters that are no text")
        if self.max_calls < 1:
            raise UsageError(f"max_calls of the rate limit {self.key} must be at least 1")
        if not 0 < self.window_seconds < math.inf:
            raise UsageError(f"window_seconds of the rate limit {self.key} must be above 0")

    def wait(self, sleep: Callable[[float], object] = time.sleep) -> None:
        """Return when a call may go ahead, or raise `RateLimitExceeded`."""
        with closing(self._waits()) as waits:
            for seconds in waits:
                sleep(seconds)

    async def wait_async(self) -> None:
        """Do the same without blocking the event loop."""
        with closing(self._waits()) as waits:
            async for seconds in _found_in_thread(waits):
                await asyncio.sleep(seconds)

    def as_configured(self) -> "RateLimit":
        """Return it with the numbers that `limit_settings` has for it, if it has."""
        setting = limit_settings().get(self.key)
        if setting is None:
            return self
        window_seconds = setting.window_seconds or self.window_seconds
        return replace(self, max_calls=setting.max_calls, window_seconds=window_seconds)

    def _waits(self) -> Generator[float]:
        """Yield the seconds to sleep, again and again, and end when the call may go ahead."""
        try:
            store = shared_store()
            yield from _Turn(self.as_configured(), store).waits()
        except StoreError as error:
            fail_open(self.key).let_through(error)
        else:
            fail_open(self.key).report(store)
            _mirror(self.key).refresh(store)


class _Turn:
    """One call's way through the queue of *limit*."""

    def __init__(self, limit: RateLimit, store: Store) -> None:
        self._limit = limit
        self._store = store
        self._ticket = uuid4().hex
        self._started = limit.clock()
        self._waited = 0.0

    def waits(self) -> Generator[float]:
        """Yield the seconds until the next attempt; closed early, leave the queue."""
        try:
            while wait := self._attempt():
                if self._waited == 0:
                    self._announce(wait)
                # Only an operator's reset makes another attempt worth while at once.
                if not _mirror(self._limit.key).refresh(self._store):
                    self._refuse_if_too_long(wait)
                    yield min(wait, RECHECK_SECONDS)
                self._waited = self._limit.clock() - self._started
        except StoreError:
            raise
        except BaseException:
            with suppress(StoreError):
                self._store.windows.give_up(self._limit.key, self._ticket, self._waited)
            raise

    def _attempt(self) -> float:
        limit = self._limit
        return patiently(self._acquire, limit.key, limit.max_wait_seconds, limit.clock).wait_seconds

    def _acquire(self) -> Grant:
        limit = self._limit
        return self._store.windows.acquire(
            limit.key, self._ticket, limit.max_calls, limit.window_seconds, self._waited
        )

    def _announce(self, wait: float) -> None:
        key = self._limit.key
        _log.info("Rate limit exceeded, waiting %ds (%s)", math.ceil(wait), key)
        task = current_task()
        stats.count(f"rate_limit.{key}.hits", task.dag_id, task.task_id, key=key)

    def _refuse_if_too_long(self, wait: float) -> None:
        limit = self._limit
        if limit.max_wait_seconds is not None and self._waited + wait > limit.max_wait_seconds:
            raise RateLimitExceeded(
                f"the rate limit {limit.key} has a slot in {wait:.1f} s, and this call may wait"
                f" {limit.max_wait_seconds:g} s: try later or raise max_wait_seconds"
            )


async def _found_in_thread(waits: Generator[float]) -> AsyncIterator[float]:
    def following() -> float | None:
        return next(waits, None)

    loop = asyncio.get_running_loop()
    while True:
        # No task: a loop that ends cancels those, and the thread would go on.
        step = loop.run_in_executor(None, copy_context().run, following)
        try:
            seconds = await asyncio.shield(step)
        except asyncio.CancelledError:
            # The iterator cannot be closed while the thread is in it.
            await asyncio.wait([step])
            raise
        if seconds is None:
            return
        yield seconds


@functools.cache
def _mirror(key: str) -> VariableMirror:
    return VariableMirror(key)
