"""The rows of counts, within a transaction."""

import json
import sqlite3
from collections.abc import Iterable

from flowgauge.store.counts import Change

__all__ = ["count", "count_json"]


def count(db: sqlite3.Connection, changes: Iterable[Change], now: float) -> None:
    """Change the rows as *changes* say."""
    for change in changes:
        owner = _owner(db, change.kind, change.owner)
        for field, how, value in change.rows:
            db.execute(
                "INSERT INTO counts VALUES (:owner, :field, :value) ON CONFLICT DO UPDATE"
                " SET value = excluded.value + IIF(:adds, value, 0)",
                {
                    "owner": owner,
                    "field": field,
                    "value": now if how == "now" else value,
                    "adds": how == "add",
                },
            )


def count_json(db: sqlite3.Connection, text: str, now: float) -> None:
    """Do the same with the text of `changes_json`."""
    changes = [
        Change(kind, owner, [(field, how, float(value)) for field, how, value in rows])
        for kind, owner, rows in json.loads(text)
    ]
    count(db, changes, now)


def _owner(db: sqlite3.Connection, kind: str, labels: str) -> int:
    """Return the id of an owner; a new one gets the place of one that is gone, or the last."""
    known = db.execute(
        "SELECT id FROM owners WHERE kind = ? AND labels = ?", (kind, labels)
    ).fetchone()
    if not known:
        known = db.execute(
            "UPDATE owners SET labels = ?2 WHERE id = (SELECT id FROM owners"
            " WHERE kind = ?1 AND labels IS NULL ORDER BY place LIMIT 1) RETURNING id",
            (kind, labels),
        ).fetchone()
    if not known:
        known = db.execute(
            "INSERT INTO owners (kind, place, labels) VALUES (?1,"
            " (SELECT IFNULL(MAX(place) + 1, 0) FROM owners WHERE kind = ?1), ?2) RETURNING id",
            (kind, labels),
        ).fetchone()
    identity: int = known[0]
    return identity
