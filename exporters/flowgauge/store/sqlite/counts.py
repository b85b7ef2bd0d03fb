"""The steps of the counts, each within a transaction."""

import json
import sqlite3
from collections.abc import Sequence
from itertools import groupby
from typing import Any

__all__ = ["add", "fold", "page"]

Db = sqlite3.Connection


def add(db: Db, now: int, counts: str) -> None:
    """Count what `changes_json` says."""
    for kind, labels, rows in json.loads(counts):
        owner = _owner(db, now, kind, labels)
        for field, how, value in rows:
            db.execute(
                "INSERT INTO counts VALUES (:owner, :field, :value) ON CONFLICT DO UPDATE"
                " SET value = excluded.value + IIF(:adds, value, 0)",
                {
                    "owner": owner,
                    "field": field,
                    "value": now / 1e6 if how == "now" else float(value),
                    "adds": how == "add",
                },
            )


def page(db: Db, _: int, kind: str, after: int, limit: int) -> Sequence[Any]:
    """Return owner, place, time and values of the first owners beyond a place."""
    rows = db.execute(
        "SELECT labels, place, seen_us, field, value FROM (SELECT * FROM owners"
        " WHERE kind = ? AND place > ? AND labels IS NOT NULL ORDER BY place LIMIT ?)"
        " LEFT JOIN counts ON owner = id ORDER BY place",
        (kind, after, limit),
    )
    return [
        (*owner, {field: value for *_, field, value in fields if field})
        for owner, fields in groupby(rows, key=lambda row: row[:3])
    ]


def fold(db: Db, now: int, kind: str, labels: str, seen: int, counts: str) -> bool:
    """Remove an owner that was not seen since, counting elsewhere; return whether."""
    gone = db.execute(
        "UPDATE owners SET labels = NULL WHERE kind = ? AND labels = ? AND seen_us = ?"
        " RETURNING id",
        (kind, labels, seen),
    ).fetchone()
    if gone:
        db.execute("DELETE FROM counts WHERE owner = ?", gone)
        add(db, now, counts)
    return gone is not None


def _owner(db: Db, now: int, kind: str, labels: str) -> int:
    """See an owner and return its id; a new one gets the place of one that is gone, or the last."""
    values = {"now": now, "kind": kind, "labels": labels}
    known = db.execute(
        "UPDATE owners SET seen_us = :now WHERE kind = :kind AND labels = :labels RETURNING id",
        values,
    ).fetchone()
    if not known:
        known = db.execute(
            "UPDATE owners SET seen_us = :now, labels = :labels WHERE id = (SELECT id FROM owners"
            " WHERE kind = :kind AND labels IS NULL ORDER BY place LIMIT 1) RETURNING id",
            values,
        ).fetchone()
    if not known:
        known = db.execute(
            "INSERT INTO owners (kind, place, labels, seen_us) VALUES (:kind,"
            " (SELECT IFNULL(MAX(place) + 1, 0) FROM owners WHERE kind = :kind), :labels, :now)"
            " RETURNING id",
            values,
        ).fetchone()
    identity: int = known[0]
    return identity
