"""What log calls count, per DAG and task."""

import bisect
import math
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate

from flowgauge.metrics import DAG_LOG_DURATION
from flowgauge.store.base import Logged, PairTotals

__all__ = ["count_arrival", "count_call", "count_deferral", "count_failure", "durations", "pairs"]

_BOUNDS = (*DAG_LOG_DURATION.buckets, math.inf)


def count_arrival(db: sqlite3.Connection, logged: Logged, now: float) -> None:
    """Count a payload that is in MLflow."""
    db.execute(
        "INSERT INTO pairs (dag_id, task_id, logs, rows, null_ratio, last_logged)"
        " VALUES (?, ?, 1, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " logs = logs + 1, rows = rows + excluded.rows, last_logged = excluded.last_logged,"
        " null_ratio = IFNULL(excluded.null_ratio, null_ratio)",
        (logged.dag_id, logged.task_id, logged.rows, logged.null_ratio, now),
    )


def count_deferral(db: sqlite3.Connection, logged: Logged) -> None:
    """Count a payload that went into the outbox."""
    db.execute(
        "INSERT INTO pairs (dag_id, task_id, deferred) VALUES (?, ?, 1)"
        " ON CONFLICT DO UPDATE SET deferred = deferred + 1",
        (logged.dag_id, logged.task_id),
    )


def count_failure(db: sqlite3.Connection, dag_id: str, task_id: str, reason: str) -> None:
    """Count an attempt that failed."""
    db.execute(
        "INSERT INTO pairs (dag_id, task_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (dag_id, task_id),
    )
    db.execute(
        "INSERT INTO failures VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1",
        (dag_id, task_id, reason),
    )


def count_call(db: sqlite3.Connection, logged: Logged) -> None:
    """Count what every log call counts, however it ended: its time, and an altered payload."""
    bound = _BOUNDS[bisect.bisect_left(_BOUNDS, logged.duration_seconds)]
    db.execute(
        "INSERT INTO durations VALUES (?, ?, 1, ?) ON CONFLICT DO UPDATE"
        " SET count = count + 1, seconds = seconds + excluded.seconds",
        (logged.dag_id, bound, logged.duration_seconds),
    )
    db.execute(
        "INSERT INTO pairs (dag_id, task_id, altered) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET altered = altered + excluded.altered",
        (logged.dag_id, logged.task_id, logged.altered),
    )


def pairs(db: sqlite3.Connection) -> list[PairTotals]:
    """Return the totals of every DAG and task."""
    failures: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for dag_id, task_id, reason, count in db.execute("SELECT * FROM failures"):
        failures[dag_id, task_id][reason] = count
    rows = db.execute(
        "SELECT dag_id, task_id, logs, deferred, altered, rows, null_ratio, last_logged"
        " FROM pairs ORDER BY place"
    )
    return [
        PairTotals(
            dag_id=dag_id,
            task_id=task_id,
            logs=logs,
            failures=failures[dag_id, task_id],
            deferred=deferred,
            altered=altered,
            rows=rows,
            null_ratio=null_ratio,
            last_logged=last_logged,
        )
        for dag_id, task_id, logs, deferred, altered, rows, null_ratio, last_logged in rows
    ]


def durations(db: sqlite3.Connection) -> dict[str, tuple[Sequence[int], float]]:
    """Return every DAG's histogram, as `Snapshot.durations` has it."""
    counts: dict[str, dict[float, int]] = defaultdict(dict)
    seconds: dict[str, float] = defaultdict(float)
    for dag_id, bound, count, total in db.execute("SELECT * FROM durations"):
        counts[dag_id][bound] = count
        seconds[dag_id] += total
    return {
        dag_id: (list(accumulate(by_bound.get(bound, 0) for bound in _BOUNDS)), seconds[dag_id])
        for dag_id, by_bound in counts.items()
    }
