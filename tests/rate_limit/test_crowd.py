"""A crowd at one moment: the store is busy then, and not down."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import redis

from flowgauge.airflow.rate_limiter import RateLimit
from flowgauge.store import Store, open_store
from stack.crowd import KEY, MAX_CALLS, processes, threads
from tests.counting import rate_limit


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_processes_that_come_at_once_keep_the_limit(store: Store) -> None:
    """Of 100 in their first moment as many come through as the limit says, and none otherwise.

    `python -m benchmarks.rate_limit_crowd` shows more of them, on every engine.
    """
    store.windows.set_limit(KEY, MAX_CALLS, 600)
    assert (crowd := processes(100)).through == MAX_CALLS
    assert crowd.refused == 100 - MAX_CALLS
    assert (rate_limit(store, KEY).calls, rate_limit(store, KEY).fail_open) == (MAX_CALLS, 0)


@pytest.mark.parametrize("store_url", ["sqlite", "redis", "postgresql"], indirect=True)
def test_threads_that_come_at_once_keep_the_limit(store: Store) -> None:
    """Nor do 1,000 threads of one process exceed it."""
    store.windows.set_limit(KEY, MAX_CALLS, 600)
    assert (crowd := threads(1000)).through == MAX_CALLS
    assert crowd.refused == 1000 - MAX_CALLS


def test_a_crowd_does_not_wait_for_a_dead_store_one_by_one(
    own_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one finds out, those that wait with it know: all are let through, and counted."""
    monkeypatch.setenv("FLOWGAUGE_STORE", own_redis)
    RateLimit("api", 1, 600).wait()
    redis_process = int(redis.Redis.from_url(own_redis).info("server")["process_id"])
    os.kill(redis_process, signal.SIGSTOP)
    try:
        started = time.monotonic()
        crowd = [threading.Thread(target=RateLimit("api", 1, 600).wait) for _ in range(200)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
        # One after the other, four at a time, it would be 25 seconds.
        assert time.monotonic() - started < 15
    finally:
        os.kill(redis_process, signal.SIGCONT)


_IN_THE_MIDST = """
import os, signal, sys
from flowgauge.airflow.rate_limiter import RateLimit
from stack.fleet import answers
from stack.process import wait_for
RateLimit("api", 5, 600).wait()
os.kill(int(sys.argv[1]), signal.SIGSTOP)
for _ in range(3):
    RateLimit("api", 5, 600).wait()
os.kill(int(sys.argv[1]), signal.SIGCONT)
wait_for(answers, "Redis answers again")
"""


def test_a_file_that_somebody_locks_and_keeps_is_down(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody gets on it is not busy, and holds up no call that could wait for ever."""
    monkeypatch.setenv("FLOWGAUGE_STORE", f"sqlite:///{folder}/store.db")
    RateLimit("api", 1, 600).wait()
    with closing(sqlite3.connect(folder / "store.db")) as hung:
        hung.execute("BEGIN IMMEDIATE")
        RateLimit("api", 1, 600).wait()


def test_what_was_let_through_is_counted_when_the_process_ends(own_redis: str) -> None:
    """A process whose last calls found no store tells it at its end."""
    process = redis.Redis.from_url(own_redis).info("server")["process_id"]
    subprocess.run(
        [sys.executable, "-c", _IN_THE_MIDST, str(process)],
        env={**os.environ, "FLOWGAUGE_STORE": own_redis},
        check=True,
    )
    with closing(open_store(own_redis, timeout_seconds=10)) as store:
        assert rate_limit(store, "api").fail_open == 3
