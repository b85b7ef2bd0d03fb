"""The rate limits in one SQLite file; times are whole microseconds."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flowgauge.store.counts import Count, changes
from flowgauge.store.sqlite.file import SqliteFile
from flowgauge.store.sqlite.rows import count
from flowgauge.store.windows import (
    GRACE_SECONDS,
    RECHECK_SECONDS,
    Grant,
    WindowState,
    gave_up,
    granted,
    refused,
)

__all__ = ["SqliteWindows"]


class SqliteWindows:
    """The `Windows` of *file*; *clock* gives Unix seconds."""

    def __init__(self, file: SqliteFile, clock: Callable[[], float]) -> None:
        self._file = file
        self._clock = clock

    def acquire(
        self, key: str, ticket: str, max_calls: int, window_seconds: float, waited: float
    ) -> Grant:
        """See `Windows.acquire`."""
        length = _microseconds(window_seconds)
        with self._file.writing() as db:
            now = self._now()
            window = _Window(db, key)
            window.resize(max_calls, length)
            window.slide(length, now)
            wait = window.wait(ticket, max_calls, length, now)
            if wait:
                window.queue(ticket, wait, now)
                self._count(db, refused(key, waited))
            else:
                window.grant(ticket, now)
                self._count(db, granted(key, waited))
        return Grant(wait / 1e6)

    def give_up(self, key: str, ticket: str, waited: float) -> None:
        """See `Windows.give_up`."""
        with self._file.writing() as db:
            _Window(db, key).leave(ticket)
            self._count(db, gave_up(key, waited))

    def reset(self, key: str) -> None:
        """See `Windows.reset`."""
        with self._file.writing() as db:
            window = _Window(db, key)
            window.empty()
            window.set_mirrored(mirrored=False)

    def take_mirror_turn(self, key: str, interval_seconds: float) -> bool:
        """See `Windows.take_mirror_turn`."""
        with self._file.writing() as db:
            return _Window(db, key).take_mirror_turn(_microseconds(interval_seconds), self._now())

    def mirror_written(self, key: str) -> None:
        """See `Windows.mirror_written`."""
        with self._file.writing() as db:
            _Window(db, key).set_mirrored(mirrored=True)

    def mirror_gone(self, key: str) -> bool:
        """See `Windows.mirror_gone`."""
        with self._file.writing() as db:
            window = _Window(db, key)
            deleted = window.set_mirrored(mirrored=False)
            if deleted:
                window.empty()
            return deleted

    def states(self) -> Sequence[WindowState]:
        """See `Windows.states`."""
        with self._file.reading() as db:
            rows = db.execute(
                "SELECT key, max_calls, window_us / 1e6,"
                " (SELECT COUNT(*) FROM grants"
                "   WHERE grants.key = windows.key AND granted_us > :now - window_us),"
                " (SELECT COUNT(*) FROM tickets"
                "   WHERE tickets.key = windows.key AND lease_us >= :now)"
                " FROM windows ORDER BY key",
                {"now": self._now()},
            )
            return [WindowState(*row) for row in rows]

    def _count(self, db: sqlite3.Connection, counts: Sequence[Count]) -> None:
        count(db, changes(counts), self._clock())

    def _now(self) -> int:
        return _microseconds(self._clock())


def _microseconds(seconds: float) -> int:
    """Return *seconds* in whole microseconds, which compare exactly."""
    return round(seconds * 1e6)


_RECHECK_US, _GRACE_US = _microseconds(RECHECK_SECONDS), _microseconds(GRACE_SECONDS)


@dataclass(frozen=True)
class _Window:
    """The window of *key* within one transaction."""

    db: sqlite3.Connection
    key: str

    def resize(self, max_calls: int, length: int) -> None:
        """Make the window, or change its size."""
        size = self.db.execute(
            "SELECT max_calls, window_us FROM windows WHERE key = ?", (self.key,)
        ).fetchone()
        if size != (max_calls, length):
            self.db.execute(
                "INSERT INTO windows (key, max_calls, window_us) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE"
                " SET max_calls = excluded.max_calls, window_us = excluded.window_us",
                (self.key, max_calls, length),
            )

    def slide(self, length: int, now: int) -> None:
        """Forget what is older than the window, and the callers that did not come back."""
        self.db.execute(
            "DELETE FROM grants WHERE key = ? AND granted_us <= ?", (self.key, now - length)
        )
        # A grant of the future means that the clock was set back. Taking it as made now errs on
        # the safe side, and for at most one window.
        self.db.execute(
            "UPDATE grants SET granted_us = :now WHERE key = :key AND granted_us > :now",
            {"key": self.key, "now": now},
        )
        self.db.execute("DELETE FROM tickets WHERE key = ? AND lease_us < ?", (self.key, now))
        # Nor is a caller waited for longer than ever.
        self.db.execute(
            "UPDATE tickets SET lease_us = :longest WHERE key = :key AND lease_us > :longest",
            {"key": self.key, "longest": now + _RECHECK_US + _GRACE_US},
        )

    def wait(self, ticket: str, max_calls: int, length: int, now: int) -> int:
        """Return how long it is until the slot of *ticket* opens: 0 if one is open now.

        The window has *max_calls* slots; a granted one opens again one *length* after its grant.
        The callers in the queue take the slots in turn, all of them once before any a second time.
        """
        free = max_calls - self._granted()
        turn, slot = divmod(self._callers_ahead(ticket), max_calls)
        opens = now if slot < free else self._grant(slot - free) + length
        return opens + turn * length - now

    def grant(self, ticket: str, now: int) -> None:
        """Take a slot for *ticket*, which leaves the queue."""
        self.leave(ticket)
        self.db.execute("INSERT INTO grants VALUES (?, ?)", (self.key, now))

    def queue(self, ticket: str, wait: int, now: int) -> None:
        """Give *ticket* a place in the queue, or let it keep the one it has."""
        lease = now + min(wait, _RECHECK_US) + _GRACE_US
        self.db.execute(
            "INSERT INTO tickets (key, ticket, lease_us) VALUES (?, ?, ?)"
            " ON CONFLICT (key, ticket) DO UPDATE SET lease_us = excluded.lease_us",
            (self.key, ticket, lease),
        )

    def leave(self, ticket: str) -> None:
        """Take *ticket* out of the queue."""
        self.db.execute("DELETE FROM tickets WHERE key = ? AND ticket = ?", (self.key, ticket))

    def empty(self) -> None:
        """Forget all grants; who waits keeps its place."""
        self.db.execute("DELETE FROM grants WHERE key = ?", (self.key,))

    def take_mirror_turn(self, interval: int, now: int) -> bool:
        """Take the turn unless somebody did within the *interval*."""
        taken = self.db.execute(
            "UPDATE windows SET mirror_turn_us = :now WHERE key = :key"
            " AND mirror_turn_us NOT BETWEEN :now - :interval + 1 AND :now",
            {"now": now, "key": self.key, "interval": interval},
        )
        return taken.rowcount > 0

    def set_mirrored(self, *, mirrored: bool) -> bool:
        """Note whether the Variable exists; return whether that is news."""
        changed = self.db.execute(
            "UPDATE windows SET mirrored = :mirrored WHERE key = :key AND mirrored <> :mirrored",
            {"key": self.key, "mirrored": mirrored},
        )
        return changed.rowcount > 0

    def _granted(self) -> int:
        count: int = self.db.execute(
            "SELECT COUNT(*) FROM grants WHERE key = ?", (self.key,)
        ).fetchone()[0]
        return count

    def _grant(self, nth: int) -> int:
        granted: int = self.db.execute(
            "SELECT granted_us FROM grants WHERE key = ? ORDER BY granted_us LIMIT 1 OFFSET ?",
            (self.key, nth),
        ).fetchone()[0]
        return granted

    def _callers_ahead(self, ticket: str) -> int:
        place = self.db.execute(
            "SELECT place FROM tickets WHERE key = ? AND ticket = ?", (self.key, ticket)
        ).fetchone()
        # Without a place, everybody in the queue is ahead.
        ahead: int = self.db.execute(
            "SELECT COUNT(*) FROM tickets WHERE key = :key AND (:place IS NULL OR place < :place)",
            {"key": self.key, "place": place and place[0]},
        ).fetchone()[0]
        return ahead
