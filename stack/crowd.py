"""Many calls of one rate limit at the same moment, from the store that FLOWGAUGE_STORE names."""

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from threading import Barrier as ThreadBarrier
from threading import Thread
from typing import Any

from flowgauge.airflow.rate_limiter import RateLimit, RateLimitExceeded

__all__ = ["KEY", "MAX_CALLS", "Crowd", "processes", "threads"]

KEY = "crowded"
MAX_CALLS = 20
_WINDOW_SECONDS = 600


@dataclass(frozen=True)
class Crowd:
    """How many calls came through and were refused, and the seconds that the longest took."""

    through: int
    refused: int
    longest: float


def processes(number: int) -> Crowd:
    """Let *number* forks of this process call at once."""
    fork = multiprocessing.get_context("fork")
    everybody, calls = fork.Barrier(number), fork.SimpleQueue()
    crowd = [fork.Process(target=_come, args=(everybody, calls.put)) for _ in range(number)]
    for process in crowd:
        process.start()
    seen = _seen([calls.get() for _ in crowd])
    for process in crowd:
        process.join()
    return seen


def threads(number: int) -> Crowd:
    """Let *number* threads of this process call at once."""
    everybody, calls = ThreadBarrier(number), list[tuple[bool, float]]()
    crowd = [Thread(target=_come, args=(everybody, calls.append)) for _ in range(number)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    return _seen(calls)


def _come(everybody: Barrier | ThreadBarrier, tell: Callable[[Any], object]) -> None:
    everybody.wait()
    started = time.monotonic()
    try:
        RateLimit(KEY, MAX_CALLS, _WINDOW_SECONDS, max_wait_seconds=60).wait()
    except RateLimitExceeded:
        tell((False, time.monotonic() - started))
    else:
        tell((True, time.monotonic() - started))


def _seen(calls: list[tuple[bool, float]]) -> Crowd:
    through = sum(came for came, _ in calls)
    return Crowd(through, len(calls) - through, max(seconds for _, seconds in calls))
