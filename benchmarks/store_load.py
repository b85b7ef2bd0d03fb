"""What the rate limit and the log calls of a fleet cost the PostgreSQL that Airflow has already.

    python -m benchmarks.store_load

100 keys, each called 20 times a minute, which is their limit: from one process that keeps its
connection, and from a new connection for each call, as short tasks make them. The same again with a
log call for each call, and with no more than `SELECT 1`, which says what any use of a PostgreSQL
costs at this pace. Given is the processor time of all processes of the server, as a share of one
processor, and for kept connections the WAL that is written for a call. The server does nothing
else, so what it needs has left the processor's caches by the next call: *back to back* is what a
call costs if it has not, with the next one asked for at once, and what share that would be.
"""

import itertools
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import psutil
import psycopg

from flowgauge.store import Store, open_store
from flowgauge.store.log_calls import Logged, ended
from stack.postgres import Postgres, postgres

_KEYS, _CALLS_A_MINUTE, _BACK_TO_BACK = 100, 20, 5000
# Autovacuum comes once a minute. Connections cost so much that less will do.
_KEPT_SECONDS, _EACH_SECONDS = 60, 15
# Some less than between two calls of a key: a window is full, and nobody waits.
_WINDOW_SECONDS = 58
_CALLS_A_SECOND = _KEYS * _CALLS_A_MINUTE / 60
# What lets as many calls through as can be asked for.
_SHORT_WINDOW_SECONDS = 0.05
_TICKETS, _DAGS = itertools.count(), itertools.count()


def _acquire(store: Store, window_seconds: float = _WINDOW_SECONDS) -> None:
    number = next(_TICKETS)
    key = f"key {number % _KEYS} of {window_seconds} s"
    grant = store.windows.acquire(key, str(number), _CALLS_A_MINUTE, window_seconds, 0)
    assert grant.granted


def _acquire_and_log(store: Store, window_seconds: float = _WINDOW_SECONDS) -> None:
    _acquire(store, window_seconds)
    store.counts.add(*ended(Logged(f"dag{next(_DAGS) % _KEYS}", "task", 0.3, rows=7)))


def _share(server: Postgres, work: Callable[[], object], seconds: float) -> float:
    """Return the server's processor time while *work* is done at the fleet's pace."""
    began, used = time.monotonic(), _cpu_seconds(server)
    for number in range(round(seconds * _CALLS_A_SECOND)):
        time.sleep(max(began + number / _CALLS_A_SECOND - time.monotonic(), 0))
        work()
    return (_cpu_seconds(server) - used) / (time.monotonic() - began)


def _back_to_back(server: Postgres, work: Callable[[], object]) -> str:
    """Return the server's processor time for a call, and its share at the fleet's pace."""
    used = _cpu_seconds(server)
    for _ in range(_BACK_TO_BACK):
        work()
    each = (_cpu_seconds(server) - used) / _BACK_TO_BACK
    return f"{each * 1e3:.2f} ms, {each * _CALLS_A_SECOND:.2%}"


def _cpu_seconds(server: Postgres) -> float:
    """Return what the server's processes used so far, those that have ended included."""
    (found,) = (
        process
        for process in psutil.process_iter(["name"])
        if process.info["name"] == "postgres"
        and any(
            each.status == psutil.CONN_LISTEN and each.laddr.port == server.port
            for each in process.net_connections("tcp")
        )
    )
    used = 0.0
    for each in found.children():
        with suppress(psutil.NoSuchProcess):
            used += sum(each.cpu_times()[:2])
    # Its own, and that of its children that have ended.
    return used + sum(found.cpu_times()[:4])


def _wal_bytes(control: psycopg.Connection) -> int:
    row = control.execute("SELECT pg_current_wal_lsn() - '0/0'").fetchone()
    assert row
    return int(row[0])


def main() -> None:
    """Print the table."""
    print("| 33 times a second | kept connection | back to back | WAL a call | a connection each |")
    print("|---|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with (
            postgres(folder / "postgres", "fsync=on") as server,
            psycopg.connect(server.url, autocommit=True, prepare_threshold=None) as control,
            closing(open_store(server.url, timeout_seconds=30)) as kept,
        ):
            kept.init()

            def ask() -> None:
                control.execute("SELECT 1")

            def anew(work: Callable[[Store], None]) -> None:
                with closing(open_store(server.url, timeout_seconds=30)) as store:
                    work(store)

            asked = _share(server, ask, _EACH_SECONDS)
            connected = _share(server, lambda: psycopg.connect(server.url).close(), _EACH_SECONDS)
            cells = f"{asked:.2%} | {_back_to_back(server, ask)} | | {connected:.1%}"
            print(f"| `SELECT 1`; no more than to connect | {cells} |", flush=True)
            _share(server, lambda: _acquire(kept), _WINDOW_SECONDS)
            for title, work in (
                ("rate limit", _acquire),
                ("rate limit and log call", _acquire_and_log),
            ):
                written = _wal_bytes(control)
                kept_share = _share(server, partial(work, kept), _KEPT_SECONDS)
                written = (_wal_bytes(control) - written) // round(_KEPT_SECONDS * _CALLS_A_SECOND)
                each_share = _share(server, partial(anew, work), _EACH_SECONDS)
                at_once = _back_to_back(server, partial(work, kept, _SHORT_WINDOW_SECONDS))
                cells = f"{kept_share:.2%} | {at_once} | {written} bytes | {each_share:.1%}"
                print(f"| {title} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
