"""What a store costs that is as large as they get.

    python -m benchmarks.store_scale [sqlite] [redis] [postgresql]

50,000 pairs of DAG and task and 1,000 rate limits, scraped by a real exporter; an outbox of
1,000,000 entries of 200 bytes, at work; and one of 100,000 entries of 5 KB, listed as JSON by the
command. The rows are put in directly, as many log calls would leave them. The longest step is the
one that holds up others longest: in Redis everybody, in SQLite and PostgreSQL nobody but itself.
"""

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import redis

from flowgauge.store import Lease, NewEntry, Store, open_store
from flowgauge.store.counts import changes
from flowgauge.store.log_calls import Logged, arrived, deferred, ended
from stack.exporter import exporter
from stack.postgres import postgres
from stack.process import LOOPBACK, python_tool
from stack.redis import redis_server

__all__ = ["postgres_outbox", "redis_outbox", "sqlite_outbox"]

_DAGS, _TASKS, _WINDOWS = 500, 100, 1000
_SMALL, _LARGE = (1_000_000, 200), (100_000, 5_000)
_SCRAPES, _STEPS = 5, 200
_PREFIX = "{flowgauge}:"

Owner = tuple[str, int, str, Sequence[tuple[str, float]]]


def _owners() -> Iterator[Owner]:
    """Yield kind, place, labels and rows of each owner, as log calls leave them."""
    places = {"dag_id": 0, "dag_id,task_id": 0}
    for dag in range(_DAGS):
        for task in range(_TASKS):
            logged = Logged(f"dag{dag}", f"task{task}", 0.3, rows=7, null_ratio=0.01)
            for change in changes(ended(logged)):
                if change.kind == "dag_id" and task:
                    continue
                rows = [(field, value or 1.7e9) for field, _, value in change.rows]
                yield change.kind, places[change.kind], change.owner, rows
                places[change.kind] += 1


def _sqlite_owners(url: str) -> None:
    with _sqlite(url) as db:
        for number, (kind, place, labels, rows) in enumerate(_owners(), 1):
            values = (number, kind, place, labels, time.time_ns() // 1000)
            db.execute("INSERT INTO owners VALUES (?, ?, ?, ?, ?)", values[:2] + values[2:])
            db.executemany(f"INSERT INTO counts VALUES ({number}, ?, ?)", rows)


def sqlite_outbox(url: str, number: int, body: str) -> None:
    """Let the outbox hold *number* entries of that *body*, and nothing else; ID is their own."""
    with _sqlite(url) as db:
        db.execute("DELETE FROM outbox")
        db.executemany(
            "INSERT INTO outbox (entry_id, dag_id, task_id, body, reason, created)"
            " VALUES (?, 'etl', 'load', ?, 'unreachable', ?)",
            ((f"e{n}", body.replace("ID", f"e{n}"), 1.7e9 + n) for n in range(number)),
        )


@contextmanager
def _sqlite(url: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db, db:
        yield db


def _redis_owners(url: str) -> None:
    client: Any = redis.Redis.from_url(url)
    pipe = client.pipeline(transaction=False)
    for kind, place, labels, rows in _owners():
        pipe.zadd(f"{_PREFIX}owners:{kind}", {labels: place})
        pipe.zadd(f"{_PREFIX}seen:{kind}", {labels: time.time_ns() // 1000})
        pipe.hset(f"{_PREFIX}counts:{kind}:{labels}", mapping=dict(rows))
        if place % 1000 == 0:
            pipe.execute()
    pipe.execute()


def redis_outbox(url: str, number: int, body: str) -> None:
    """See `sqlite_outbox`."""
    client: Any = redis.Redis.from_url(url)
    client.eval("redis.call('DEL', unpack(KEYS))", 3, *_redis_lists())
    at_once = 1000
    for first in range(0, number, at_once):
        client.eval(
            "for n = ARGV[1], ARGV[1] + ARGV[2] - 1 do"
            f" redis.call('HSET', '{_PREFIX}entry:e' .. n, 'pair', '[\"etl\",\"load\"]', 'body',"
            " string.gsub(ARGV[3], 'ID', 'e' .. n), 'created_us', 1.7e15 + n, 'reason', 'away',"
            " 'place', n)"
            " redis.call('ZADD', KEYS[1], 1.7e15 + n, 'e' .. n)"
            " redis.call('ZADD', KEYS[2], n, 'e' .. n) end"
            " redis.call('SET', KEYS[3], ARGV[1] + ARGV[2])",
            3,
            *_redis_lists(),
            first,
            min(at_once, number - first),
            body,
        )


def _redis_lists() -> list[str]:
    return [f"{_PREFIX}outbox:{name}" for name in ("waiting", "line", "places")]


def _postgres_owners(url: str) -> None:
    with psycopg.connect(url) as db, db.cursor() as cursor:
        columns = "kind, place, labels, seen_us, counts"
        with cursor.copy(f"COPY flowgauge.owners ({columns}) FROM STDIN") as copy:
            for kind, place, labels, rows in _owners():
                counts = json.dumps({field: repr(value) for field, value in rows})
                copy.write_row((kind, place, labels, time.time_ns() // 1000, counts))


def postgres_outbox(url: str, number: int, body: str) -> None:
    """See `sqlite_outbox`."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("TRUNCATE flowgauge.outbox")
        db.execute(
            "INSERT INTO flowgauge.outbox (entry_id, dag_id, task_id, body, reason, created_us)"
            " SELECT 'e' || n, 'etl', 'load', replace(%s, 'ID', 'e' || n), 'unreachable',"
            " 1700000000000000 + n"
            " FROM generate_series(1, %s) AS n",
            [body, number],
        )
        db.execute("DELETE FROM flowgauge.outbox_sizes")
        db.execute("INSERT INTO flowgauge.outbox_sizes VALUES (-1, %s, 0)", [number])
        # What autovacuum does within a minute.
        db.execute("VACUUM ANALYZE flowgauge.outbox")


def _scrape(folder: Path, url: str) -> str:
    seconds = []
    with (
        exporter(folder / "exporter", mlflow_uri=f"http://{LOOPBACK}:1", store=url) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        client.get("/metrics")
        used = -_cpu_seconds()
        for _ in range(_SCRAPES):
            started = time.perf_counter()
            page = client.get("/metrics").raise_for_status().text
            seconds.append(time.perf_counter() - started)
        used += _cpu_seconds()
    if "mlflow_dag_pairs_over_limit 49000.0" not in page:
        raise SystemExit("not all pairs were read")
    return f"{statistics.median(seconds):.2f} s | {used / _SCRAPES:.2f} s"


def _cpu_seconds() -> float:
    (process,) = (child for child in psutil.Process().children() if "exporter" in child.cmdline())
    times = process.cpu_times()
    return times.user + times.system


def _milliseconds(step: Callable[[int], object]) -> str:
    taken = []
    for number in range(_STEPS):
        started = time.perf_counter()
        step(number)
        taken.append((time.perf_counter() - started) * 1e3)
    return f"{statistics.median(taken):.1f} ms"


def _at_work(store: Store) -> str:
    """Return how long putting, claiming, settling, counting and a page of the list take."""
    logged = Logged("etl", "load", 0.1, reason="unreachable")
    claimed: list[str] = []
    return " | ".join(
        [
            _milliseconds(
                lambda n: store.outbox.put(
                    NewEntry(f"new{n}", "etl", "load", "x" * 200), deferred(logged)
                )
            ),
            _milliseconds(
                lambda _: claimed.extend(
                    entry.entry_id for entry in store.outbox.claim(Lease("me", 600), 1)
                )
            ),
            _milliseconds(lambda n: store.outbox.settle(claimed[n], arrived(logged))),
            _milliseconds(lambda _: store.outbox.state()),
            _milliseconds(lambda _: store.outbox.entries(100)),
        ]
    )


def _listed(url: str, number: int) -> str:
    """Return how long the command takes for all entries as JSON, and how much memory."""
    asked = ["outbox", "list", "--output", "json", "--bodies", "--limit"]
    command = [python_tool("flowgauge"), *asked, str(number), "--store", url]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        size = sum(len(line) for line in process.stdout)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or size < number * _LARGE[1]:
        raise SystemExit("the list is not complete")
    return f"{time.perf_counter() - started:.0f} s | {usage.ru_maxrss / 1024:.0f} MB"


def _longest_in_redis(url: str) -> Callable[[], str]:
    client: Any = redis.Redis.from_url(url)
    client.config_set("slowlog-log-slower-than", 500)
    client.config_set("slowlog-max-len", 100_000)
    client.slowlog_reset()
    return lambda: (
        f"{max((each['duration'] for each in client.slowlog_get(-1)), default=500) / 1e3:.1f} ms"
    )


def _measure(
    kind: str,
    folder: Path,
    url: str,
    fill_owners: Callable[[str], None],
    fill_outbox: Callable[[str, int, str], None],
) -> None:
    with closing(open_store(url, timeout_seconds=60)) as store:
        store.init()
        fill_owners(url)
        for number in range(_WINDOWS):
            store.windows.acquire(f"key {number}", "t", 10, 600, 0)
        longest = _longest_in_redis(url) if kind == "redis" else lambda: "-"
        scrape = f"{_scrape(folder, url)} | {longest()}"
        fill_outbox(url, _SMALL[0], "x" * _SMALL[1])
        work = _at_work(store)
        fill_outbox(url, _LARGE[0], "x" * _LARGE[1])
        longest = _longest_in_redis(url) if kind == "redis" else lambda: "-"
        listed = f"{_listed(url, _LARGE[0])} | {longest()}"
    print(json.dumps({"store": kind, "load": os.getloadavg()[0]}))
    print(f"scrape, CPU, longest step: {scrape}")
    print(f"put, claim, settle, count, page of the list: {work}")
    print(f"list as JSON, memory, longest step: {listed}", flush=True)


def main() -> None:
    """Print the figures of the engines named, or of all."""
    chosen = sys.argv[1:] or ["sqlite", "redis", "postgresql"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if "sqlite" in chosen:
            url = f"sqlite:///{folder}/store.db"
            _measure("sqlite", folder, url, _sqlite_owners, sqlite_outbox)
        if "redis" in chosen:
            with redis_server(folder / "redis") as url:
                _measure("redis", folder, url, _redis_owners, redis_outbox)
        if "postgresql" in chosen:
            with postgres(folder / "postgres") as server:
                _measure("postgresql", folder, server.url, _postgres_owners, postgres_outbox)


if __name__ == "__main__":
    main()
