"""The steps of the outbox, each within a transaction.

Its table is that of version 0.1, whose times are seconds.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from flowgauge.store.sqlite.counts import add

__all__ = [
    "claim",
    "drop",
    "due",
    "entries",
    "put",
    "release",
    "retry",
    "set_aside",
    "settle",
    "state",
]

Db = sqlite3.Connection

_COLUMNS = ("entry_id", "dag_id", "task_id", "body", "reason", "created_us", "attempts", "poison")
_SELECT = (
    "SELECT entry_id, dag_id, task_id, body, reason, CAST(ROUND(created * 1e6) AS INTEGER),"
    " attempts, poison, lapsed, created, place FROM outbox"
)
_TO_THE_END = "owner = NULL, leased_until = 0, place = (SELECT MAX(place) + 1 FROM outbox)"


def put(
    db: Db,
    now: int,
    entry_id: str,
    dag_id: str,
    task_id: str,
    body: str,
    reason: str,
    owner: str,
    lease: int,
    if_lapsed: str,
    counts: str,
) -> None:
    """Put an entry in, unless it is there."""
    leased_until = (now + lease) / 1e6 if owner else 0
    row = (entry_id, dag_id, task_id, body, reason, now / 1e6, owner, leased_until, lease / 1e6)
    added = db.execute(
        "INSERT INTO outbox (entry_id, dag_id, task_id, body, reason, created, owner, leased_until,"
        " lease, lapsed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (*row, if_lapsed),
    )
    _add_if(db, now, added, counts)


def claim(db: Db, now: int, owner: str, lease: int, limit: int) -> Sequence[Any]:
    """Lease the first free entries."""
    _bound_leases(db, now / 1e6, lease / 1e6)
    rows = db.execute(
        f"{_SELECT} WHERE poison IS NULL AND leased_until <= ? ORDER BY place LIMIT ?",
        (now / 1e6, limit),
    ).fetchall()
    for entry_id, *_, if_lapsed, _, _ in rows:
        db.execute(
            "UPDATE outbox SET owner = ?, leased_until = ?, lease = ?, lapsed = NULL"
            " WHERE entry_id = ?",
            (owner, (now + lease) / 1e6, lease / 1e6, entry_id),
        )
        # One that somebody else wrote is no reason to claim none.
        with suppress(ValueError, TypeError):
            add(db, now, if_lapsed or "[]")
    return _entries(rows)


def due(db: Db, now: int) -> int:
    """Return 1 if an entry could be claimed now, or its lease mended, else 0."""
    # The lease of 0.1 has no length, and was a minute; a millisecond is more than rounding takes.
    found = (
        "SELECT EXISTS (SELECT 1 FROM outbox WHERE poison IS NULL AND (leased_until <= :now"
        " OR leased_until > :now + IFNULL(lease, 60) + 0.001))"
    )
    is_due: int = db.execute(found, {"now": now / 1e6}).fetchone()[0]
    return is_due


def settle(db: Db, now: int, entry_id: str, counts: str) -> None:
    """Remove an entry that arrived."""
    _add_if(db, now, db.execute("DELETE FROM outbox WHERE entry_id = ?", (entry_id,)), counts)


def release(db: Db, now: int, entry_id: str, owner: str, reason: str, counts: str) -> None:
    """Send the entry that *owner* holds to the end of the line."""
    released = db.execute(
        "UPDATE outbox SET reason = ?, attempts = attempts + 1, lapsed = NULL,"  # noqa: S608 (a constant)
        f" {_TO_THE_END} WHERE entry_id = ? AND owner = ? AND poison IS NULL",
        (reason, entry_id, owner),
    )
    _add_if(db, now, released, counts)


def set_aside(db: Db, now: int, entry_id: str, reason: str, detail: str, counts: str) -> None:
    """Take an entry out of the line."""
    put_aside = db.execute(
        "UPDATE outbox SET poison = ?, reason = ?, attempts = attempts + 1, lapsed = NULL"
        " WHERE entry_id = ? AND poison IS NULL",
        (detail, reason, entry_id),
    )
    _add_if(db, now, put_aside, counts)


def retry(db: Db, _: int, entry_ids: str) -> Sequence[str]:
    """Put entries that were set aside back into line, all if no id is given; return their ids."""
    aside = "SELECT entry_id FROM outbox WHERE poison IS NOT NULL ORDER BY created, place"
    put_back = (
        f"UPDATE outbox SET poison = NULL, {_TO_THE_END}"  # noqa: S608 (a constant)
        " WHERE entry_id = ? AND poison IS NOT NULL"
    )
    chosen = json.loads(entry_ids) or [entry_id for (entry_id,) in db.execute(aside)]
    return [each for each in chosen if db.execute(put_back, (each,)).rowcount > 0]


def drop(db: Db, _: int, entry_ids: str) -> Sequence[str]:
    """Remove entries; return the ids of those that were there."""
    remove = "DELETE FROM outbox WHERE entry_id = ?"
    return [each for each in json.loads(entry_ids) if db.execute(remove, (each,)).rowcount > 0]


def entries(db: Db, _: int, cursor: str, limit: int) -> Sequence[Any]:
    """Return where the oldest entries beyond a cursor end, and these."""
    created, place = json.loads(cursor or "[0, 0]")
    if isinstance(created, list):
        created = bytes.fromhex(*created)
    rows = db.execute(
        f"{_SELECT} WHERE (created, place) > (?, ?) ORDER BY created, place LIMIT ?",
        (created, place, limit),
    ).fetchall()
    # What somebody else wrote may be bytes.
    last = rows and json.dumps(rows[-1][-2:], default=lambda found: [found.hex()])
    return last or cursor, _entries(rows)


def state(db: Db, _: int) -> Sequence[Any]:
    """Return how many wait, how many are set aside, and when the oldest of those waiting came."""
    found: Sequence[Any] = db.execute(
        "SELECT (SELECT COUNT(*) FROM outbox WHERE poison IS NULL),"
        " (SELECT COUNT(*) FROM outbox WHERE poison IS NOT NULL),"
        " (SELECT CAST(ROUND(MIN(created) * 1e6) AS INTEGER) FROM outbox WHERE poison IS NULL)"
    ).fetchone()
    return found


def _bound_leases(db: Db, now: float, lease: float) -> None:
    """End no lease later than it would end had it begun now: the clock may have been set back.

    One shorter than the *lease* that is asked for may take as long as that.
    """
    db.execute(
        "UPDATE outbox SET leased_until = :now + IFNULL(lease, :lease) WHERE leased_until > 0"
        " AND leased_until > :now + :lease AND leased_until > :now + IFNULL(lease, 0)",
        {"now": now, "lease": lease},
    )


def _entries(rows: Iterable[Sequence[Any]]) -> Sequence[Any]:
    return [dict(zip(_COLUMNS, row, strict=False)) for row in rows]


def _add_if(db: Db, now: int, done: sqlite3.Cursor, counts: str) -> None:
    """Count if a statement changed anything."""
    if done.rowcount > 0:
        add(db, now, counts)
