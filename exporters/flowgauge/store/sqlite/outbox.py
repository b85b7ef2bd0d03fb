"""Payloads kept until MLflow has them."""

import sqlite3
from collections.abc import Sequence

from flowgauge.store.base import Deferral, Logged, OutboxEntry, OutboxState

__all__ = [
    "claim",
    "entries",
    "give_back",
    "put",
    "remove",
    "retry",
    "set_aside",
    "set_aside_ids",
    "state",
]

_COLUMNS = "entry_id, dag_id, task_id, created, body, attempts, poison"

Pair = tuple[str, str]


def put(db: sqlite3.Connection, logged: Logged, deferral: Deferral, now: float) -> bool:
    """Add an entry; return whether it is new."""
    added = db.execute(
        "INSERT INTO outbox (entry_id, dag_id, task_id, created, body)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (deferral.entry_id, logged.dag_id, logged.task_id, now, deferral.body),
    )
    return added.rowcount > 0


def claim(
    db: sqlite3.Connection, owner: str, limit: int, lease_seconds: float, now: float
) -> list[OutboxEntry]:
    """Lease the first *limit* free entries to *owner*."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM outbox WHERE poison IS NULL AND leased_until <= ?"  # noqa: S608 (a constant)
        " ORDER BY place LIMIT ?",
        (now, limit),
    )
    claimed = [OutboxEntry(*row) for row in rows]
    db.executemany(
        "UPDATE outbox SET owner = ?, leased_until = ? WHERE entry_id = ?",
        [(owner, now + lease_seconds, entry.entry_id) for entry in claimed],
    )
    return claimed


def remove(db: sqlite3.Connection, entry_id: str) -> bool:
    """Remove an entry; return whether it was there."""
    return db.execute("DELETE FROM outbox WHERE entry_id = ?", (entry_id,)).rowcount > 0


def give_back(db: sqlite3.Connection, entry_id: str, owner: str) -> Pair | None:
    """Send the entry that *owner* holds to the end of the line; return its DAG and task."""
    given_back: Pair | None = db.execute(
        "UPDATE outbox SET owner = NULL, leased_until = 0, attempts = attempts + 1,"
        " place = (SELECT MAX(place) + 1 FROM outbox)"
        " WHERE entry_id = ? AND owner = ? AND poison IS NULL RETURNING dag_id, task_id",
        (entry_id, owner),
    ).fetchone()
    return given_back


def set_aside(db: sqlite3.Connection, entry_id: str, detail: str) -> Pair | None:
    """Take an entry out of the line; return its DAG and task, None if it is not in it."""
    put_aside: Pair | None = db.execute(
        "UPDATE outbox SET poison = ?, attempts = attempts + 1"
        " WHERE entry_id = ? AND poison IS NULL RETURNING dag_id, task_id",
        (detail, entry_id),
    ).fetchone()
    return put_aside


def set_aside_ids(db: sqlite3.Connection) -> list[str]:
    """Return the ids of all entries that were set aside, oldest first."""
    rows = db.execute("SELECT entry_id FROM outbox WHERE poison IS NOT NULL ORDER BY created")
    return [entry_id for (entry_id,) in rows]


def retry(db: sqlite3.Connection, entry_id: str) -> bool:
    """Send an entry that was set aside to the end of the line; return whether it was one."""
    put_back = db.execute(
        "UPDATE outbox SET poison = NULL, owner = NULL, leased_until = 0,"
        " place = (SELECT MAX(place) + 1 FROM outbox)"
        " WHERE entry_id = ? AND poison IS NOT NULL",
        (entry_id,),
    )
    return put_back.rowcount > 0


def entries(db: sqlite3.Connection, limit: int) -> Sequence[OutboxEntry]:
    """Return the oldest *limit* entries."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM outbox ORDER BY created, place LIMIT ?", (limit,))  # noqa: S608 (a constant)
    return [OutboxEntry(*row) for row in rows]


def state(db: sqlite3.Connection) -> OutboxState:
    """Return how full the outbox is."""
    row = db.execute(
        "SELECT COUNT(*) FILTER (WHERE poison IS NULL), COUNT(poison),"
        " MIN(created) FILTER (WHERE poison IS NULL) FROM outbox"
    ).fetchone()
    return OutboxState(*row)
