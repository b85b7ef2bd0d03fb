"""Calls let through because the store did not answer: warned about, and counted later."""

import logging
import math
import time
from collections.abc import Callable
from threading import Lock

from flowgauge.airflow.context import current_task
from flowgauge.airflow.host import stats
from flowgauge.metrics import RATE_LIMIT_FAIL_OPEN
from flowgauge.store.counts import Count
from flowgauge.store.errors import StoreError
from flowgauge.store.store import Store

__all__ = ["FailOpen"]

_WARN_SECONDS = 60.0
_log = logging.getLogger(__name__)


class FailOpen:
    """The calls of the rate limit *key* that this process let through; *clock* gives seconds."""

    def __init__(self, key: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = key
        self._clock = clock
        self._lock = Lock()
        self._calls = 0
        self._warned = -math.inf

    def let_through(self, error: StoreError) -> None:
        """Count one call, and warn unless a warning was given within the last minute."""
        with self._lock:
            self._calls += 1
            now = self._clock()
            warn = now - self._warned >= _WARN_SECONDS
            if warn:
                self._warned = now
        if warn:
            _log.warning("The rate limit %s lets calls through uncounted: %s", self._key, error)
        task = current_task()
        stats.count(f"rate_limit.{self._key}.fail_open", task.dag_id, task.task_id, key=self._key)

    def report(self, store: Store) -> None:
        """Add the calls counted here to the *store*, which answers again."""
        if not self._calls:
            return
        with self._lock:
            calls, self._calls = self._calls, 0
        try:
            store.counts.add(Count(RATE_LIMIT_FAIL_OPEN, (self._key,), calls))
        except StoreError:
            with self._lock:
                self._calls += calls
