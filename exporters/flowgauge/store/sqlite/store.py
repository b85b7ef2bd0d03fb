"""The transactions of the SQLite store."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from flowgauge.store.base import (
    Deferral,
    Grant,
    Logged,
    LogTotals,
    OutboxEntry,
    OutboxState,
    WindowState,
)
from flowgauge.store.sqlite import outbox, totals
from flowgauge.store.sqlite.file import SqliteFile
from flowgauge.store.sqlite.window import Window, microseconds, windows

__all__ = ["SqliteStore"]


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
        length = microseconds(window_seconds)
        with self._file.writing() as db:
            now = self._now()
            window = Window(db, key)
            window.resize(max_calls, length)
            window.slide(length, now)
            wait = window.wait(ticket, max_calls, length, now)
            if wait:
                window.queue(ticket, wait, now)
                window.count(hits=int(waited == 0))
            else:
                window.grant(ticket, now)
                window.count(calls=1, wait_seconds=waited)
        return Grant(wait / 1e6)

    def give_up(self, key: str, ticket: str, waited: float) -> None:
        """See `Store.give_up`."""
        with self._file.writing() as db:
            window = Window(db, key)
            window.leave(ticket)
            window.count(wait_seconds=waited)

    def count_fail_open(self, key: str, calls: int) -> None:
        """See `Store.count_fail_open`."""
        with self._file.writing() as db:
            Window(db, key).count(fail_open=calls)

    def reset_window(self, key: str) -> None:
        """See `Store.reset_window`."""
        with self._file.writing() as db:
            window = Window(db, key)
            window.empty()
            window.set_mirrored(mirrored=False)

    def take_mirror_turn(self, key: str, interval_seconds: float) -> bool:
        """See `Store.take_mirror_turn`."""
        with self._file.writing() as db:
            return Window(db, key).take_mirror_turn(microseconds(interval_seconds), self._now())

    def mirror_written(self, key: str) -> None:
        """See `Store.mirror_written`."""
        with self._file.writing() as db:
            Window(db, key).set_mirrored(mirrored=True)

    def mirror_gone(self, key: str) -> bool:
        """See `Store.mirror_gone`."""
        with self._file.writing() as db:
            window = Window(db, key)
            deleted = window.set_mirrored(mirrored=False)
            if deleted:
                window.empty()
            return deleted

    def windows(self) -> Sequence[WindowState]:
        """See `Store.windows`."""
        with self._file.reading() as db:
            return windows(db, self._now())

    def record(self, logged: Logged) -> None:
        """See `Store.record`."""
        with self._file.writing() as db:
            totals.count_call(db, logged)
            if logged.reason is None:
                totals.count_arrival(db, logged, self._clock())
            else:
                totals.count_failure(db, logged.dag_id, logged.task_id, logged.reason)

    def defer(self, logged: Logged, deferral: Deferral) -> None:
        """See `Store.defer`."""
        with self._file.writing(durable=True) as db:
            if outbox.put(db, logged, deferral, self._clock()):
                totals.count_call(db, logged)
                totals.count_deferral(db, logged)
                if logged.reason is not None:
                    totals.count_failure(db, logged.dag_id, logged.task_id, logged.reason)

    def claim(self, owner: str, limit: int, lease_seconds: float) -> Sequence[OutboxEntry]:
        """See `Store.claim`."""
        with self._file.writing() as db:
            return outbox.claim(db, owner, limit, lease_seconds, self._clock())

    def settle(self, entry_id: str, logged: Logged) -> None:
        """See `Store.settle`."""
        with self._file.writing() as db:
            if outbox.remove(db, entry_id):
                totals.count_arrival(db, logged, self._clock())

    def release(self, entry_id: str, owner: str, reason: str) -> None:
        """See `Store.release`."""
        with self._file.writing() as db:
            if pair := outbox.give_back(db, entry_id, owner):
                totals.count_failure(db, *pair, reason)

    def set_aside(self, entry_id: str, reason: str, detail: str) -> None:
        """See `Store.set_aside`."""
        with self._file.writing() as db:
            if pair := outbox.set_aside(db, entry_id, detail):
                totals.count_failure(db, *pair, reason)

    def retry(self, *entry_ids: str) -> Sequence[str]:
        """See `Store.retry`."""
        with self._file.writing() as db:
            chosen = entry_ids or outbox.set_aside_ids(db)
            return [entry_id for entry_id in chosen if outbox.retry(db, entry_id)]

    def drop(self, *entry_ids: str) -> Sequence[str]:
        """See `Store.drop`."""
        with self._file.writing() as db:
            return [entry_id for entry_id in entry_ids if outbox.remove(db, entry_id)]

    def outbox(self, limit: int) -> Sequence[OutboxEntry]:
        """See `Store.outbox`."""
        with self._file.reading() as db:
            return outbox.entries(db, limit)

    def outbox_state(self) -> OutboxState:
        """See `Store.outbox_state`."""
        with self._file.reading() as db:
            return outbox.state(db)

    def log_totals(self) -> LogTotals:
        """See `Store.log_totals`."""
        with self._file.reading() as db:
            return LogTotals(totals.pairs(db), totals.durations(db))

    def close(self) -> None:
        """See `Store.close`."""
        self._file.close()

    def _now(self) -> int:
        return microseconds(self._clock())
