"""Calls let through because the store did not answer: warned about, and counted later."""

import atexit
import logging
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock

from flowgauge.airflow.context import current_task
from flowgauge.airflow.host import stats
from flowgauge.airflow.shared_store import shared_store
from flowgauge.metrics import RATE_LIMIT_FAIL_OPEN
from flowgauge.store.counts import Count
from flowgauge.store.errors import StoreError
from flowgauge.store.store import Store

__all__ = ["FailOpen", "fail_open", "report_fail_opens"]

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

    @property
    def is_known(self) -> bool:
        """Whether the store did not answer a call before, and none since."""
        return self._calls > 0

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
        """Add the calls counted here to the *store*, which answers again.

        One that took them, and could not say so, is told once more.
        """
        if not self._calls:
            return
        with self._lock:
            calls, self._calls = self._calls, 0
        try:
            store.counts.add(Count(RATE_LIMIT_FAIL_OPEN, (self._key,), calls))
        except BaseException as error:
            # The end of the task may come in between.
            with self._lock:
                self._calls += calls
            if not isinstance(error, StoreError):
                raise

    def say_what_is_left(self) -> None:
        """Say in the log what could not be reported."""
        if self._calls:
            _log.warning(
                "%d calls of the rate limit %s were let through and are counted nowhere: the store"
                " does not answer",
                self._calls,
                self._key,
            )


# By process: a fork leaves its parent's to the parent.
_known: dict[tuple[int, str], FailOpen] = {}


def fail_open(key: str) -> FailOpen:
    """Return what counts the calls of *key* that this process lets through."""
    return _known.setdefault((os.getpid(), key), FailOpen(key))


@atexit.register
def report_fail_opens() -> None:
    """Count what this process let through, as it ends; say so in the log where that fails."""
    for (process, _), counted in list(_known.items()):
        if process == os.getpid() and counted.is_known:
            with suppress(StoreError):
                counted.report(shared_store())
            counted.say_what_is_left()
