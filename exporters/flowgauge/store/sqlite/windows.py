"""The steps of the rate limits, each within a transaction; times are microseconds."""

import sqlite3
from typing import Any

from flowgauge.store.sqlite.counts import add

__all__ = [
    "acquire",
    "give_up",
    "mirror_gone",
    "mirror_written",
    "reset",
    "set_limit",
    "states",
    "take_mirror_turn",
]

Db = sqlite3.Connection


def acquire(
    db: Db,
    now: int,
    key: str,
    ticket: str,
    max_calls: int,
    length: int,
    recheck: int,
    grace: int,
    if_granted: str,
    if_refused: str,
) -> int:
    """Take a slot or a place in the queue; return how long to wait, 0 if granted."""
    max_calls, length = _resize(db, key, max_calls, length)
    _slide(db, now, key, length, recheck + grace)
    if _has_grant(db, now, key, ticket):
        return 0
    wait = _wait(db, now, key, ticket, max_calls, length)
    if wait == 0:
        _leave(db, key, ticket)
        grant = db.execute("INSERT INTO grants VALUES (?, ?)", (key, now)).lastrowid
        db.execute("INSERT INTO granted VALUES (?, ?, ?)", (grant, key, ticket))
        add(db, now, if_granted)
        return 0
    lease = now + min(wait, recheck) + grace
    waits = db.execute(
        "UPDATE tickets SET lease_us = ? WHERE key = ? AND ticket = ?", (lease, key, ticket)
    )
    if not waits.rowcount:
        db.execute(
            "INSERT INTO tickets (key, ticket, lease_us) VALUES (?, ?, ?)", (key, ticket, lease)
        )
        add(db, now, if_refused)
    return wait


def give_up(db: Db, now: int, key: str, ticket: str, counts: str) -> None:
    """Leave the queue."""
    _leave(db, key, ticket)
    add(db, now, counts)


def reset(db: Db, _: int, key: str) -> None:
    """Forget all grants; who waits keeps its place."""
    db.execute("DELETE FROM grants WHERE key = ?", (key,))
    _set_mirrored(db, key, mirrored=False)


def set_limit(db: Db, _: int, key: str, max_calls: int, length: int) -> None:
    """Give the window a size that goes before every caller's own; sizes of 0 take it away."""
    if max_calls:
        db.execute(
            "INSERT INTO windows (key, max_calls, window_us) VALUES (?, ?, ?) ON CONFLICT"
            " DO UPDATE SET max_calls = excluded.max_calls, window_us = excluded.window_us",
            (key, max_calls, length),
        )
    db.execute(
        "UPDATE windows SET set_calls = NULLIF(?, 0), set_window_us = NULLIF(?, 0) WHERE key = ?",
        (max_calls, length, key),
    )


def take_mirror_turn(db: Db, now: int, key: str, interval: int) -> bool:
    """Return whether nobody else took the turn within the *interval*."""
    taken = db.execute(
        "UPDATE windows SET mirror_turn_us = :now WHERE key = :key"
        " AND mirror_turn_us NOT BETWEEN :now - :interval + 1 AND :now",
        {"now": now, "key": key, "interval": interval},
    )
    return taken.rowcount > 0


def mirror_written(db: Db, _: int, key: str) -> None:
    """Remember that the mirror exists."""
    _set_mirrored(db, key, mirrored=True)


def mirror_gone(db: Db, _: int, key: str) -> bool:
    """Empty the window if its mirror had been written; return whether."""
    deleted = _set_mirrored(db, key, mirrored=False)
    if deleted:
        db.execute("DELETE FROM grants WHERE key = ?", (key,))
    return deleted


def states(db: Db, now: int, cursor: str, limit: int) -> tuple[str, list[Any]]:
    """Return of rate limits beyond a cursor: key, size, calls in the window, callers, if set.

    And before them the next cursor, empty if these are the last.
    """
    rows = db.execute(
        "SELECT key, max_calls, window_us,"
        " (SELECT COUNT(*) FROM grants"
        "   WHERE grants.key = windows.key AND granted_us > :now - window_us),"
        " (SELECT COUNT(*) FROM tickets WHERE tickets.key = windows.key AND lease_us >= :now),"
        " set_calls IS NOT NULL"
        " FROM windows WHERE :cursor = '' OR key > SUBSTR(:cursor, 2) ORDER BY key LIMIT :limit",
        {"now": now, "cursor": cursor, "limit": limit},
    ).fetchall()
    return f">{rows[-1][0]}" if len(rows) == limit else "", rows


def _resize(db: Db, key: str, max_calls: int, length: int) -> tuple[int, int]:
    """Give the window the size that was set, else the caller's, and return it."""
    known = db.execute(
        "SELECT max_calls, window_us, set_calls, set_window_us FROM windows WHERE key = ?", (key,)
    ).fetchone()
    # Whoever may write to the file may write what is no size.
    if known and all(isinstance(each, int) and each > 0 for each in known[2:]):
        max_calls, length = known[2:]
    if not known or known[:2] != (max_calls, length):
        db.execute(
            "INSERT INTO windows (key, max_calls, window_us) VALUES (?, ?, ?) ON CONFLICT"
            " DO UPDATE SET max_calls = excluded.max_calls, window_us = excluded.window_us",
            (key, max_calls, length),
        )
    return max_calls, length


def _slide(db: Db, now: int, key: str, length: int, longest: int) -> None:
    """Forget what is older than the window, and the callers that did not come back."""
    db.execute("DELETE FROM grants WHERE key = ? AND granted_us <= ?", (key, now - length))
    db.execute("DELETE FROM tickets WHERE key = ? AND lease_us < ?", (key, now))
    # A grant of the future means that the clock was set back. Taking it as made now errs on the
    # safe side, and for at most one window; nor is a caller waited for longer than ever.
    db.execute(
        "UPDATE grants SET granted_us = :now WHERE key = :key AND granted_us > :now",
        {"key": key, "now": now},
    )
    db.execute(
        "UPDATE tickets SET lease_us = :last WHERE key = :key AND lease_us > :last",
        {"key": key, "last": now + longest},
    )


def _has_grant(db: Db, now: int, key: str, ticket: str) -> bool:
    """Return whether *ticket* has a grant, as one whose answer got lost; it is made anew, now."""
    found = db.execute(
        "UPDATE grants SET granted_us = ? WHERE rowid ="
        " (SELECT grant_id FROM granted WHERE key = ? AND ticket = ?)",
        (now, key, ticket),
    )
    return found.rowcount > 0


def _wait(db: Db, now: int, key: str, ticket: str, max_calls: int, length: int) -> int:
    """Return how long it is until the slot of *ticket* opens: 0 if one is open now.

    The window has *max_calls* slots; a granted one opens again one *length* after its grant. The
    callers in the queue take the slots in turn, all of them once before any a second time.
    """
    (granted,) = db.execute("SELECT COUNT(*) FROM grants WHERE key = ?", (key,)).fetchone()
    # Without a place of one's own, everybody in the queue is ahead.
    (ahead,) = db.execute(
        "SELECT COUNT(*) FROM tickets WHERE key = :key AND IFNULL(place <"
        " (SELECT place FROM tickets WHERE key = :key AND ticket = :ticket), TRUE)",
        {"key": key, "ticket": ticket},
    ).fetchone()
    turn, slot = divmod(ahead, max_calls)
    free = max_calls - granted
    opens = now
    if slot >= free:
        (granted_at,) = db.execute(
            "SELECT granted_us FROM grants WHERE key = ? ORDER BY granted_us LIMIT 1 OFFSET ?",
            (key, slot - free),
        ).fetchone()
        opens = granted_at + length
    wait: int = opens + turn * length - now
    return wait


def _leave(db: Db, key: str, ticket: str) -> None:
    db.execute("DELETE FROM tickets WHERE key = ? AND ticket = ?", (key, ticket))


def _set_mirrored(db: Db, key: str, *, mirrored: bool) -> bool:
    """Note whether the Variable exists; return whether that is news."""
    changed = db.execute(
        "UPDATE windows SET mirrored = :mirrored WHERE key = :key AND mirrored <> :mirrored",
        {"key": key, "mirrored": mirrored},
    )
    return changed.rowcount > 0
