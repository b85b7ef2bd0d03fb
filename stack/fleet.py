"""Many processes calling rate-limited functions as fast as they are let, and what came of it."""

import multiprocessing
import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import Barrier
from threading import Event, Thread
from urllib.parse import urlsplit

import psycopg
import redis

from flowgauge.airflow.rate_limiter import RateLimit, RateLimitExceeded
from flowgauge.airflow.shared_store import shared_store
from flowgauge.store import StoreUnavailableError, open_store
from stack.process import wait_for
from stack.redis import client_at

__all__ = ["Outcome", "answers", "run_fleet"]

_SAMPLES_A_WINDOW = 5


@dataclass(frozen=True)
class Outcome:
    """What one key saw: when the store granted calls, and how long each process's calls waited.

    Times are microseconds of the store's clock, waits are seconds.
    """

    max_calls: int
    window_us: int
    grants: Sequence[int]
    waits: Sequence[Sequence[float]]

    @property
    def most_in_a_window(self) -> int:
        """The most calls granted within any stretch of the window's length."""
        most = first = 0
        for number, at in enumerate(self.grants):
            while self.grants[first] <= at - self.window_us:
                first += 1
            most = max(most, number - first + 1)
        return most

    @property
    def utilisation(self) -> float:
        """The share of what the limit allows that was granted while everybody waited for more.

        A slot can be granted once in a window: the window's length by how long it really took.
        """
        again = zip(self.grants, self.grants[self.max_calls :], strict=False)
        cycles = [later - earlier for earlier, later in again]
        return self.window_us * len(cycles) / sum(cycles)


@dataclass(frozen=True)
class _Job:
    store_url: str
    keys: Sequence[str]
    max_calls: int
    window_seconds: float
    seconds: float


def run_fleet(
    store_url: str,
    *,
    processes: int,
    keys: Sequence[str],
    max_calls: int,
    window_seconds: float,
    seconds: float,
    clock_offsets: Sequence[float] = (0.0,),
) -> dict[str, Outcome]:
    """Let *processes* call each of *keys* for *seconds*, and return the outcome by key.

    *clock_offsets* are given to the processes in turn: how many seconds their clocks are ahead.
    """
    job = _Job(store_url, keys, max_calls, window_seconds, seconds)
    offsets = [clock_offsets[number % len(clock_offsets)] for number in range(processes)]
    fork = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(
        processes, mp_context=fork, initializer=_join, initargs=(fork.Barrier(processes),)
    )
    with _recorded(job) as grants, pool:
        waits = list(pool.map(partial(_work, job), offsets))
    window_us = round(window_seconds * 1e6)
    return {
        key: Outcome(max_calls, window_us, sorted(grants[key]), [each[key] for each in waits])
        for key in keys
    }


_everybody: Barrier


def _join(barrier: Barrier) -> None:
    global _everybody  # noqa: PLW0603 - the way a pool's process is given what it inherits
    _everybody = barrier


def _work(job: _Job, clock_offset: float) -> dict[str, list[float]]:
    real_time = time.time
    time.time = lambda: real_time() + clock_offset
    os.environ["FLOWGAUGE_STORE"] = job.store_url
    with ThreadPoolExecutor(len(job.keys)) as threads:
        # What is measured is the limit, not eight processes that connect at the same moment.
        list(threads.map(_connect, job.keys))
        _everybody.wait()
        end = time.monotonic() + job.seconds
        waits = threads.map(lambda key: _call(key, job, end), job.keys)
        return dict(zip(job.keys, waits, strict=True))


def _connect(_: str) -> None:
    wait_for(answers, "the store answers")


def answers() -> bool:
    """Return whether the store that FLOWGAUGE_STORE names answers in time."""
    try:
        shared_store().windows.states()
    except StoreUnavailableError:
        return False
    return True


def _call(key: str, job: _Job, end: float) -> list[float]:
    """Call *key* until the *end*, and return how long each call waited."""
    waits = []
    while (now := time.monotonic()) < end:
        try:
            RateLimit(key, job.max_calls, job.window_seconds, end - now).wait()
        except RateLimitExceeded:
            break
        waits.append(time.monotonic() - now)
    return waits


@contextmanager
def _recorded(job: _Job) -> Iterator[dict[str, list[int]]]:
    """Yield a dictionary that has, once the block has ended, all grants made in it."""
    grants: dict[str, list[int]] = defaultdict(list)
    with _RECORDERS[urlsplit(job.store_url).scheme](job, grants):
        yield grants


@contextmanager
def _recorded_in_sqlite(job: _Job, grants: dict[str, list[int]]) -> Iterator[None]:
    path = job.store_url.removeprefix("sqlite:///")
    with closing(open_store(job.store_url, timeout_seconds=10)) as store:
        store.init()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "CREATE TABLE recorded (key, granted_us); CREATE TRIGGER recording AFTER INSERT ON"
            " grants BEGIN INSERT INTO recorded VALUES (new.key, new.granted_us); END;"
            " CREATE TRIGGER moving AFTER UPDATE ON grants BEGIN UPDATE recorded"
            " SET granted_us = new.granted_us WHERE key = old.key AND granted_us = old.granted_us;"
            " END;"
        )
    yield
    with closing(sqlite3.connect(path)) as db:
        for key, granted_us in db.execute("SELECT * FROM recorded"):
            grants[key].append(granted_us)


@contextmanager
def _recorded_in_postgres(job: _Job, grants: dict[str, list[int]]) -> Iterator[None]:
    with closing(open_store(job.store_url, timeout_seconds=10)) as store:
        store.init()
    with _primary(job) as connection:
        connection.execute(
            "CREATE TABLE recorded (key text, name bigint, granted_us bigint,"
            " PRIMARY KEY (key, name));"
            " CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " INSERT INTO public.recorded SELECT NEW.key, NEW.names[last], NEW.granted_us[last]"
            " FROM cardinality(NEW.names) AS last WHERE last > 0"
            " ON CONFLICT (key, name) DO UPDATE SET granted_us = excluded.granted_us;"
            " RETURN NULL; END $$;"
            " CREATE TRIGGER recording AFTER UPDATE ON flowgauge.windows FOR EACH ROW"
            " EXECUTE FUNCTION record()"
        )
    yield
    with _primary(job) as connection:
        for key, granted_us in connection.execute("SELECT key, granted_us FROM recorded"):
            grants[key].append(granted_us)


def _primary(job: _Job) -> psycopg.Connection:
    return psycopg.connect(job.store_url, autocommit=True, target_session_attrs="read-write")


@contextmanager
def _recorded_in_redis(job: _Job, grants: dict[str, list[int]]) -> Iterator[None]:
    seen: dict[tuple[str, str], int] = {}
    stop = Event()
    sampler = Thread(target=_sample, args=(job, stop, seen))
    sampler.start()
    yield
    stop.set()
    sampler.join()
    for (key, _), granted_us in seen.items():
        grants[key].append(granted_us)


def _sample(job: _Job, stop: Event, seen: dict[tuple[str, str], int]) -> None:
    # A grant stays for a whole window: looking several times in each misses none.
    with closing(client_at(job.store_url)) as client:
        last = False
        while not last:
            last = stop.wait(job.window_seconds / _SAMPLES_A_WINDOW)
            # While it fails over there is nothing to see.
            with suppress(redis.RedisError, redis.exceptions.RedisClusterException):
                for key in job.keys:
                    grants = f"{{flowgauge}}:grants:{key}"
                    for number, at in client.zrange(grants, 0, -1, withscores=True):
                        seen[key, number] = round(at)


_RECORDERS = {
    "sqlite": _recorded_in_sqlite,
    "redis": _recorded_in_redis,
    "redis+sentinel": _recorded_in_redis,
    "redis+cluster": _recorded_in_redis,
    "postgresql": _recorded_in_postgres,
}
