"""Waiting for a rate limit in Airflow's triggerer, where thousands wait in one process."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from flowgauge.airflow.fail_open import fail_open
from flowgauge.airflow.host.names import airflow_name
from flowgauge.airflow.shared_store import shared_store
from flowgauge.airflow.turnstile import patiently
from flowgauge.store.errors import StoreError
from flowgauge.store.windows import RECHECK_SECONDS, Grant

__all__ = ["DEFERRED_GRACE_SECONDS", "RateLimitTrigger"]

DEFERRED_GRACE_SECONDS = 20.0
"""How late a deferred caller may come back: a triggerer takes its time to start."""

_BaseTrigger: Any = airflow_name("BaseTrigger")
_TriggerEvent: Any = airflow_name("TriggerEvent")
# A first attempt has waited for exactly nothing; all of a trigger's are later ones.
_LEAST_SECONDS = 1e-6


class RateLimitTrigger(_BaseTrigger):  # type: ignore[misc] # Airflow is not followed by mypy
    """Waits until a call of the rate limit *key* is granted, and takes it.

    *ticket* is the place in the queue that the caller took at *since*, in Unix seconds. It comes
    with the trigger, which asks every five seconds at least: a triggerer that is restarted goes on
    with the same place, unless it was away for longer than that and `DEFERRED_GRACE_SECONDS`. Then
    it takes a new one, at the end. Where functions wait for the same limit as well, the grace is
    theirs, two seconds.
    """

    def __init__(
        self, key: str, max_calls: int, window_seconds: float, ticket: str, since: float
    ) -> None:
        super().__init__()
        self._key = key
        self._max_calls = max_calls
        self._window_seconds = window_seconds
        self._ticket = ticket
        self._since = since

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow makes it from again."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "key": self._key,
                "max_calls": self._max_calls,
                "window_seconds": self._window_seconds,
                "ticket": self._ticket,
                "since": self._since,
            },
        )

    async def run(self) -> AsyncIterator[Any]:
        """Yield one event, once the call is granted.

        One that is cancelled keeps its place until it lapses: most often a triggerer is restarted.
        """
        try:
            while not (grant := await asyncio.to_thread(self._attempt)).granted:
                seconds = min(grant.wait_seconds, RECHECK_SECONDS)
                await asyncio.sleep(seconds)
        except StoreError as error:
            fail_open(self._key).let_through(error)
        yield _TriggerEvent({"waited_seconds": self._waited})

    async def on_kill(self) -> None:
        """Leave the queue: the task is no longer to run. Airflow before 3.3 does not say so."""
        with suppress(StoreError):
            await asyncio.to_thread(
                shared_store().windows.give_up, self._key, self._ticket, self._waited
            )

    @property
    def _waited(self) -> float:
        return max(time.time() - self._since, _LEAST_SECONDS)

    def _attempt(self) -> Grant:
        windows = shared_store().windows
        return patiently(
            lambda: windows.acquire(
                self._key,
                self._ticket,
                self._max_calls,
                self._window_seconds,
                self._waited,
                grace_seconds=DEFERRED_GRACE_SECONDS,
            ),
            self._key,
        )
