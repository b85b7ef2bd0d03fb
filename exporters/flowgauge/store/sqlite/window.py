"""The rate limit's window and queue; times are whole microseconds."""

import sqlite3
from dataclasses import dataclass

from flowgauge.store.base import GRACE_SECONDS, RECHECK_SECONDS, WindowState

__all__ = ["Window", "microseconds", "windows"]


def microseconds(seconds: float) -> int:
    """Return *seconds* in whole microseconds, which compare exactly."""
    return round(seconds * 1e6)


def windows(db: sqlite3.Connection, now: int) -> list[WindowState]:
    """Return every window there is."""
    rows = db.execute(
        "SELECT key, max_calls, window_us / 1e6,"
        " (SELECT COUNT(*) FROM grants"
        "   WHERE grants.key = windows.key AND granted_us > :now - window_us),"
        " (SELECT COUNT(*) FROM tickets WHERE tickets.key = windows.key AND lease_us >= :now),"
        " calls, hits, wait_seconds, fail_open FROM windows ORDER BY key",
        {"now": now},
    )
    return [WindowState(*row) for row in rows]


@dataclass(frozen=True)
class Window:
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
        lease = now + min(wait, microseconds(RECHECK_SECONDS)) + microseconds(GRACE_SECONDS)
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

    def count(
        self, *, calls: int = 0, hits: int = 0, wait_seconds: float = 0, fail_open: int = 0
    ) -> None:
        """Add to the counters."""
        self.db.execute(
            "UPDATE windows SET calls = calls + ?, hits = hits + ?,"
            " wait_seconds = wait_seconds + ?, fail_open = fail_open + ? WHERE key = ?",
            (calls, hits, wait_seconds, fail_open, self.key),
        )

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
