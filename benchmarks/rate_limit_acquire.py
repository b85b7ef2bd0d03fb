"""What taking a call from a rate limit costs: flowgauge beside `limits` and `pyrate-limiter`.

    python -m benchmarks.rate_limit_acquire

All three use the same Redis, in turn, call by call, so that a busy machine slows all alike. Each is
asked for calls it grants, and for calls it refuses because the window is full. A refused caller
wants to know how long to wait: flowgauge says so at once, limits when asked, pyrate-limiter not.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import limits
import pyrate_limiter
import redis

from flowgauge.store import open_store
from stack.redis import redis_server

_ROUNDS = 3000
_WARM_UP = 200
_PLENTY = 1_000_000
_WINDOW_SECONDS = 60

# Without a time-out a limiter hangs with its Redis; flowgauge has one of half a second.
_TIMEOUTS: Any = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}

# Asks for one call and returns whether it was granted.
Ask = Callable[[], bool]


def _flowgauge(url: str, max_calls: int) -> Ask:
    store = open_store(url)
    key = uuid4().hex
    tickets = map(str, count())
    return lambda: store.windows.acquire(key, next(tickets), max_calls, _WINDOW_SECONDS, 0).granted


def _flowgauge_refused(url: str, max_calls: int) -> Ask:
    store = open_store(url)
    key = uuid4().hex
    for number in range(max_calls):
        store.windows.acquire(key, str(number), max_calls, _WINDOW_SECONDS, 0)
    # A refused caller comes back with the same ticket.
    return lambda: store.windows.acquire(key, "waiting", max_calls, _WINDOW_SECONDS, 1).granted


def _storage(url: str) -> limits.storage.Storage:
    return limits.storage.storage_from_string(url, **_TIMEOUTS)


def _limits(url: str, max_calls: int) -> Ask:
    limiter = limits.strategies.MovingWindowRateLimiter(_storage(url))
    limit = limits.RateLimitItemPerSecond(max_calls, _WINDOW_SECONDS)
    key = uuid4().hex
    return lambda: bool(limiter.hit(limit, key))


def _limits_refused(url: str, max_calls: int) -> Ask:
    limiter = limits.strategies.MovingWindowRateLimiter(_storage(url))
    limit = limits.RateLimitItemPerSecond(max_calls, _WINDOW_SECONDS)
    key = uuid4().hex

    def ask() -> bool:
        # Who is refused must ask again for how long to wait.
        return bool(limiter.hit(limit, key) or limiter.get_window_stats(limit, key).remaining)

    return ask


def _pyrate(url: str, max_calls: int) -> Ask:
    rate = pyrate_limiter.Rate(max_calls, pyrate_limiter.Duration.SECOND * _WINDOW_SECONDS)
    key = uuid4().hex
    bucket = pyrate_limiter.RedisBucket.init([rate], redis.Redis.from_url(url, **_TIMEOUTS), key)
    limiter = pyrate_limiter.Limiter(bucket)
    return lambda: bool(limiter.try_acquire(key, blocking=False))


_GRANTED = {
    "flowgauge": _flowgauge,
    "limits, MovingWindow": _limits,
    "pyrate-limiter, RedisBucket": _pyrate,
}
_REFUSED = {
    "flowgauge": _flowgauge_refused,
    "limits, MovingWindow": _limits_refused,
    "pyrate-limiter, RedisBucket": _pyrate,
}


def _measure(asks: Mapping[str, Ask], *, granted: bool) -> dict[str, float]:
    """Return the median microseconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in asks}
    turns = list(asks.items())
    for number in range(_WARM_UP + _ROUNDS):
        random.shuffle(turns)
        for name, ask in turns:
            started = time.perf_counter()
            answer = ask()
            taken = time.perf_counter() - started
            if number >= _WARM_UP:
                assert answer is granted, name
                seconds[name].append(taken)
    return {name: statistics.median(taken) * 1e6 for name, taken in seconds.items()}


def main() -> None:
    """Print the table."""
    print("| | granted, p50 | refused and told the wait, p50 |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as url:
        granted = _measure({n: way(url, _PLENTY) for n, way in _GRANTED.items()}, granted=True)
        refused = _measure({n: way(url, 20) for n, way in _REFUSED.items()}, granted=False)
    for name in granted:
        print(f"| {name} | {granted[name]:.0f} µs | {refused[name]:.0f} µs |")


if __name__ == "__main__":
    main()
