"""What processes of version 0.1 count, in tables of its own, becomes rows.

Such processes may run beside newer ones for as long as an upgrade takes: each reading of the counts
takes over what they added since. Windows and outbox they share with newer ones.
"""

import json
import sqlite3

from flowgauge.metrics import DAG_LAST_LOGGED
from flowgauge.store.counts import as_json
from flowgauge.store.from_0_1 import dag_changes, pair_changes, window_changes
from flowgauge.store.sqlite.counts import add

__all__ = ["counted_by_0_1", "take_over"]

# Others write in between.
_AT_ONCE = 100
_USED_WINDOWS = (
    "SELECT key, calls, hits, wait_seconds, fail_open FROM windows"
    " WHERE calls <> 0 OR hits <> 0 OR wait_seconds <> 0 OR fail_open <> 0"
)
_LAST_LOGGED = json.dumps((DAG_LAST_LOGGED.name,))


def counted_by_0_1(db: sqlite3.Connection) -> bool:
    """Return whether version 0.1 counted anything that is not taken over yet."""
    if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'pairs'").fetchone():
        return False
    return any(
        db.execute(f"SELECT EXISTS ({rows})").fetchone()[0]
        for rows in ("SELECT 1 FROM pairs", "SELECT 1 FROM durations", _USED_WINDOWS)
    )


def take_over(db: sqlite3.Connection, now: int) -> None:
    """Move some of what version 0.1 counted, within a transaction."""
    _pairs(db, now)
    _durations(db, now)
    _windows(db, now)


def _pairs(db: sqlite3.Connection, now: int) -> None:
    moved = db.execute(
        "SELECT place, dag_id, task_id, logs, rows, deferred, altered, null_ratio, last_logged"
        " FROM pairs ORDER BY place LIMIT ?",
        (_AT_ONCE,),
    ).fetchall()
    for place, dag_id, task_id, logs, rows, deferred, altered, null_ratio, last_logged in moved:
        failures = db.execute(
            "DELETE FROM failures WHERE dag_id = ? AND task_id = ? RETURNING reason, count",
            (dag_id, task_id),
        ).fetchall()
        labels = json.dumps((dag_id, task_id))
        known = db.execute(
            "SELECT value FROM counts JOIN owners ON id = owner"
            " WHERE kind = 'dag_id,task_id' AND labels = ? AND field = ?",
            (labels, _LAST_LOGGED),
        ).fetchone()
        changes = pair_changes(
            (dag_id, task_id),
            logs=logs,
            rows=rows,
            deferred=deferred,
            altered=altered,
            failures=dict(failures),
            null_ratio=null_ratio,
            last_logged=last_logged,
            known=known and known[0],
        )
        add(db, now, as_json(changes))
        # A DAG was shown if one of its pairs was: it gets the place of its first.
        db.execute(
            "INSERT OR IGNORE INTO owners (kind, place, labels, seen_us)"
            " SELECT 'dag_id', place, ?, seen_us FROM owners"
            " WHERE kind = 'dag_id,task_id' AND labels = ?",
            (json.dumps((dag_id,)), labels),
        )
        db.execute("DELETE FROM pairs WHERE place = ?", (place,))


def _durations(db: sqlite3.Connection, now: int) -> None:
    # Not before their DAG has its place.
    for (dag_id,) in db.execute(
        "SELECT DISTINCT dag_id FROM durations WHERE dag_id NOT IN (SELECT dag_id FROM pairs)"
        " LIMIT ?",
        (_AT_ONCE,),
    ).fetchall():
        rows = db.execute(
            "DELETE FROM durations WHERE dag_id = ? RETURNING bound, count, seconds", (dag_id,)
        ).fetchall()
        observed = {repr(bound): number for bound, number, _ in rows}
        add(db, now, as_json(dag_changes(dag_id, observed, sum(seconds for *_, seconds in rows))))


def _windows(db: sqlite3.Connection, now: int) -> None:
    for counters in db.execute(f"{_USED_WINDOWS} LIMIT ?", (_AT_ONCE,)).fetchall():
        add(db, now, as_json(window_changes(*counters)))
        db.execute(
            "UPDATE windows SET calls = 0, hits = 0, wait_seconds = 0, fail_open = 0 WHERE key = ?",
            (counters[0],),
        )
