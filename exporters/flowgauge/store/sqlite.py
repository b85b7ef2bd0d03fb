"""The store in one SQLite file: the default, for everything that runs on one host."""

import bisect
import math
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

from flowgauge.metrics import DAG_LOG_DURATION
from flowgauge.store.base import (
    GRACE_SECONDS,
    RECHECK_SECONDS,
    Deferral,
    Grant,
    Logged,
    OutboxEntry,
    OutboxState,
    PairTotals,
    Snapshot,
    WindowState,
)
from flowgauge.store.sqlite_file import SqliteFile

__all__ = ["SqliteStore"]

_BOUNDS = (*DAG_LOG_DURATION.buckets, math.inf)


class SqliteStore:
    """A `Store` in the file *path*; *clock* gives Unix seconds."""

    def __init__(
        self, path: Path, *, timeout_seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._file = SqliteFile(path, timeout_seconds)
        self._clock = clock

    def acquire(
        self, key: str, ticket: str, max_calls: int, window_seconds: float, waited: float
    ) -> Grant:
        """See `Store.acquire`."""
        window = _microseconds(window_seconds)
        with self._file.writing() as db:
            now = self._now()
            _remember_limit(db, key, max_calls, window)
            _forget_the_past(db, key, window, now)
            wait = _wait(db, key, ticket, max_calls, window, now)
            if wait:
                lease = now + min(wait, _microseconds(RECHECK_SECONDS))
                _queue(db, key, ticket, lease + _microseconds(GRACE_SECONDS))
                _count(db, key, hits=int(waited == 0))
            else:
                _leave(db, key, ticket)
                db.execute("INSERT INTO grants VALUES (?, ?)", (key, now))
                _count(db, key, calls=1, wait_seconds=waited)
        return Grant(wait / 1e6)

    def give_up(self, key: str, ticket: str, waited: float) -> None:
        """See `Store.give_up`."""
        with self._file.writing() as db:
            _leave(db, key, ticket)
            _count(db, key, wait_seconds=waited)

    def count_fail_open(self, key: str, calls: int) -> None:
        """See `Store.count_fail_open`."""
        with self._file.writing() as db:
            _count(db, key, fail_open=calls)

    def reset_window(self, key: str) -> None:
        """See `Store.reset_window`."""
        with self._file.writing() as db:
            db.execute("DELETE FROM grants WHERE key = ?", (key,))

    def windows(self) -> Sequence[WindowState]:
        """See `Store.windows`."""
        with self._file.reading() as db:
            return _windows(db, self._now())

    def record(self, logged: Logged) -> None:
        """See `Store.record`."""
        with self._file.writing() as db:
            if logged.reason is None:
                _count_arrival(db, logged, self._clock())
            else:
                _count_failure(db, logged.dag_id, logged.task_id, logged.reason)
            _observe(db, logged)

    def defer(self, logged: Logged, deferral: Deferral) -> None:
        """See `Store.defer`."""
        with self._file.writing(durable=True) as db:
            added = db.execute(
                "INSERT INTO outbox (entry_id, dag_id, task_id, created, body)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (deferral.entry_id, logged.dag_id, logged.task_id, self._clock(), deferral.body),
            )
            if added.rowcount == 0:
                return
            db.execute(
                "INSERT INTO pairs (dag_id, task_id, deferred) VALUES (?, ?, 1)"
                " ON CONFLICT DO UPDATE SET deferred = deferred + 1",
                (logged.dag_id, logged.task_id),
            )
            if logged.reason is not None:
                _count_failure(db, logged.dag_id, logged.task_id, logged.reason)
            _observe(db, logged)

    def claim(self, owner: str, limit: int, lease_seconds: float) -> Sequence[OutboxEntry]:
        """See `Store.claim`."""
        with self._file.writing() as db:
            now = self._clock()
            entries = _entries(
                db, "poison IS NULL AND leased_until <= :now ORDER BY place", now=now, limit=limit
            )
            db.executemany(
                "UPDATE outbox SET owner = ?, leased_until = ? WHERE entry_id = ?",
                [(owner, now + lease_seconds, entry.entry_id) for entry in entries],
            )
        return entries

    def settle(self, entry_id: str, logged: Logged) -> None:
        """See `Store.settle`."""
        with self._file.writing() as db:
            removed = db.execute("DELETE FROM outbox WHERE entry_id = ?", (entry_id,))
            if removed.rowcount:
                _count_arrival(db, logged, self._clock())

    def release(self, entry_id: str, owner: str, reason: str) -> None:
        """See `Store.release`."""
        with self._file.writing() as db:
            released = db.execute(
                "UPDATE outbox SET owner = NULL, leased_until = 0, attempts = attempts + 1,"
                " place = (SELECT MAX(place) + 1 FROM outbox)"
                " WHERE entry_id = ? AND owner = ? AND poison IS NULL",
                (entry_id, owner),
            )
            if released.rowcount:
                _count_entry_failure(db, entry_id, reason)

    def set_aside(self, entry_id: str, reason: str, detail: str) -> None:
        """See `Store.set_aside`."""
        with self._file.writing() as db:
            set_aside = db.execute(
                "UPDATE outbox SET poison = ?, attempts = attempts + 1"
                " WHERE entry_id = ? AND poison IS NULL",
                (detail, entry_id),
            )
            if set_aside.rowcount:
                _count_entry_failure(db, entry_id, reason)

    def outbox(self, limit: int) -> Sequence[OutboxEntry]:
        """See `Store.outbox`."""
        with self._file.reading() as db:
            return _entries(db, "TRUE ORDER BY created", limit=limit)

    def snapshot(self) -> Snapshot:
        """See `Store.snapshot`."""
        with self._file.reading() as db:
            return Snapshot(
                windows=_windows(db, self._now()),
                pairs=_pairs(db),
                durations=_durations(db),
                outbox=_outbox_state(db),
            )

    def close(self) -> None:
        """See `Store.close`."""
        self._file.close()

    def _now(self) -> int:
        return _microseconds(self._clock())


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


def _remember_limit(db: sqlite3.Connection, key: str, max_calls: int, window: int) -> None:
    db.execute(
        "INSERT INTO windows (key, max_calls, window_us) VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
        " SET max_calls = excluded.max_calls, window_us = excluded.window_us",
        (key, max_calls, window),
    )


def _forget_the_past(db: sqlite3.Connection, key: str, window: int, now: int) -> None:
    db.execute("DELETE FROM grants WHERE key = ? AND granted_us <= ?", (key, now - window))
    db.execute("DELETE FROM tickets WHERE key = ? AND lease_us < ?", (key, now))
    # The clock was set back. Taking the grants as made now errs on the safe side, and for at most
    # one window.
    db.execute("UPDATE grants SET granted_us = ? WHERE key = ? AND granted_us > ?", (now, key, now))


def _wait(
    db: sqlite3.Connection, key: str, ticket: str, max_calls: int, window: int, now: int
) -> int:
    """Return the microseconds until the slot of *ticket* opens: 0 if one is open now.

    The window has *max_calls* slots; those of grants open again one window after the grant. The
    callers in the queue take the slots in order, all of them once before any a second time.
    """
    (granted,) = db.execute("SELECT COUNT(*) FROM grants WHERE key = ?", (key,)).fetchone()
    (rank,) = db.execute(
        "SELECT COUNT(*) FROM tickets AS other WHERE key = :key AND place < IFNULL("
        "  (SELECT place FROM tickets WHERE key = :key AND ticket = :ticket), 9e18)",
        {"key": key, "ticket": ticket},
    ).fetchone()
    free = max_calls - granted
    turn, slot = divmod(rank, max_calls)
    opens = now
    if slot >= free:
        (granted_at,) = db.execute(
            "SELECT granted_us FROM grants WHERE key = ? ORDER BY granted_us LIMIT 1 OFFSET ?",
            (key, slot - free),
        ).fetchone()
        opens = granted_at + window
    wait: int = opens + turn * window - now
    return wait


def _queue(db: sqlite3.Connection, key: str, ticket: str, lease: int) -> None:
    db.execute(
        "INSERT INTO tickets (key, ticket, lease_us) VALUES (?, ?, ?)"
        " ON CONFLICT (key, ticket) DO UPDATE SET lease_us = excluded.lease_us",
        (key, ticket, lease),
    )


def _leave(db: sqlite3.Connection, key: str, ticket: str) -> None:
    db.execute("DELETE FROM tickets WHERE key = ? AND ticket = ?", (key, ticket))


def _count(
    db: sqlite3.Connection,
    key: str,
    *,
    calls: int = 0,
    hits: int = 0,
    wait_seconds: float = 0,
    fail_open: int = 0,
) -> None:
    db.execute(
        "UPDATE windows SET calls = calls + ?, hits = hits + ?, wait_seconds = wait_seconds + ?,"
        " fail_open = fail_open + ? WHERE key = ?",
        (calls, hits, wait_seconds, fail_open, key),
    )


def _windows(db: sqlite3.Connection, now: int) -> list[WindowState]:
    rows = db.execute(
        "SELECT key, max_calls, window_us / 1e6,"
        " (SELECT COUNT(*) FROM grants"
        "   WHERE grants.key = windows.key AND granted_us > :now - window_us),"
        " (SELECT COUNT(*) FROM tickets WHERE tickets.key = windows.key AND lease_us >= :now),"
        " calls, hits, wait_seconds, fail_open FROM windows ORDER BY key",
        {"now": now},
    )
    return [WindowState(*row) for row in rows]


def _count_arrival(db: sqlite3.Connection, logged: Logged, now: float) -> None:
    db.execute(
        "INSERT INTO pairs (dag_id, task_id, logs, rows, null_ratio, last_logged)"
        " VALUES (?, ?, 1, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " logs = logs + 1, rows = rows + excluded.rows, last_logged = excluded.last_logged,"
        " null_ratio = IFNULL(excluded.null_ratio, null_ratio)",
        (logged.dag_id, logged.task_id, logged.rows, logged.null_ratio, now),
    )


def _count_failure(db: sqlite3.Connection, dag_id: str, task_id: str, reason: str) -> None:
    db.execute(
        "INSERT INTO failures VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
        (dag_id, task_id, reason),
    )


def _count_entry_failure(db: sqlite3.Connection, entry_id: str, reason: str) -> None:
    dag_id, task_id = db.execute(
        "SELECT dag_id, task_id FROM outbox WHERE entry_id = ?", (entry_id,)
    ).fetchone()
    _count_failure(db, dag_id, task_id, reason)


def _observe(db: sqlite3.Connection, logged: Logged) -> None:
    bound = _BOUNDS[bisect.bisect_left(_BOUNDS, logged.duration_seconds)]
    db.execute(
        "INSERT INTO durations VALUES (?, ?, 1, ?) ON CONFLICT DO UPDATE"
        " SET count = count + 1, seconds = seconds + excluded.seconds",
        (logged.dag_id, bound, logged.duration_seconds),
    )


def _pairs(db: sqlite3.Connection) -> list[PairTotals]:
    failures: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for dag_id, task_id, reason, count in db.execute("SELECT * FROM failures"):
        failures[dag_id, task_id][reason] = count
    totals = {
        (dag_id, task_id): values
        for dag_id, task_id, *values in db.execute(
            "SELECT dag_id, task_id, logs, deferred, rows, null_ratio, last_logged FROM pairs"
        )
    }
    return [
        PairTotals(
            dag_id=pair[0],
            task_id=pair[1],
            logs=logs,
            failures=failures.get(pair, {}),
            deferred=deferred,
            rows=rows,
            null_ratio=null_ratio,
            last_logged=last_logged,
        )
        for pair in sorted(totals.keys() | failures.keys())
        for logs, deferred, rows, null_ratio, last_logged in [
            totals.get(pair, (0, 0, 0, None, None))
        ]
    ]


def _durations(db: sqlite3.Connection) -> dict[str, tuple[Sequence[int], float]]:
    counts: dict[str, dict[float, int]] = defaultdict(dict)
    seconds: dict[str, float] = defaultdict(float)
    for dag_id, bound, count, total in db.execute("SELECT * FROM durations"):
        counts[dag_id][bound] = count
        seconds[dag_id] += total
    return {
        dag_id: (list(accumulate(by_bound.get(bound, 0) for bound in _BOUNDS)), seconds[dag_id])
        for dag_id, by_bound in counts.items()
    }


def _entries(
    db: sqlite3.Connection, condition: str, *, limit: int, now: float = 0
) -> list[OutboxEntry]:
    rows = db.execute(
        "SELECT entry_id, dag_id, task_id, created, body, attempts, poison"
        f" FROM outbox WHERE {condition} LIMIT :limit",
        {"now": now, "limit": limit},
    )
    return [OutboxEntry(*row) for row in rows]


def _outbox_state(db: sqlite3.Connection) -> OutboxState:
    row = db.execute(
        "SELECT COUNT(*) FILTER (WHERE poison IS NULL), COUNT(poison),"
        " MIN(created) FILTER (WHERE poison IS NULL) FROM outbox"
    ).fetchone()
    return OutboxState(*row)
