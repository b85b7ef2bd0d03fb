"""What version 0.1 counted in layouts of its own, as changes to rows.

Goes, with the modules of the same name in the engines, when upgrading from 0.1 is no longer
supported.
"""

import json
from collections.abc import Mapping, Sequence

from flowgauge.metrics import (
    DAG_LAST_LOGGED,
    DAG_LOG_DURATION,
    DAG_LOG_FAILURES,
    DAG_LOGS,
    DAG_LOGS_ALTERED,
    DAG_LOGS_DEFERRED,
    DAG_NULL_RATIO,
    DAG_ROWS,
    RATE_LIMIT_CALLS,
    RATE_LIMIT_FAIL_OPEN,
    RATE_LIMIT_HITS,
    RATE_LIMIT_WAIT,
)
from flowgauge.store.counts import Change, Count, Row, changes

__all__ = ["dag_changes", "pair_changes", "window_changes"]


def pair_changes(
    pair: tuple[str, str],
    *,
    logs: int,
    rows: int,
    deferred: int,
    altered: int,
    failures: Mapping[str, int],
    null_ratio: float | None,
    last_logged: float | None,
    known: float | None,
) -> Sequence[Change]:
    """Return what a pair's hash or row of 0.1 adds; *known* is when the pair last logged since."""
    counts = [
        Count(DAG_LOGS, pair, logs),
        Count(DAG_ROWS, pair, rows),
        Count(DAG_LOGS_DEFERRED, pair, deferred),
        Count(DAG_LOGS_ALTERED, pair, altered),
        *(Count(DAG_LOG_FAILURES, (*pair, reason), n) for reason, n in failures.items()),
    ]
    if last_logged is not None and last_logged >= (known or 0):
        counts.append(Count(DAG_LAST_LOGGED, pair, last_logged))
        if null_ratio is not None:
            counts.append(Count(DAG_NULL_RATIO, pair, null_ratio))
    return changes(counts)


def dag_changes(dag_id: str, observed: Mapping[str, int], seconds: float) -> Sequence[Change]:
    """Return what a DAG's durations of 0.1 add: how many were *observed*, by their upper bound."""
    bucket, total, _ = DAG_LOG_DURATION.series
    rows: list[Row] = [
        (json.dumps((bucket, bound)), "add", count) for bound, count in observed.items()
    ]
    rows.append((json.dumps((total,)), "add", seconds))
    return [Change("dag_id", json.dumps((dag_id,)), rows)]


def window_changes(
    key: str, calls: int, hits: int, wait_seconds: float, fail_open: int
) -> Sequence[Change]:
    """Return what a rate limit's counters of 0.1 add."""
    return changes(
        [
            Count(RATE_LIMIT_CALLS, (key,), calls),
            Count(RATE_LIMIT_HITS, (key,), hits),
            Count(RATE_LIMIT_WAIT, (key,), wait_seconds),
            Count(RATE_LIMIT_FAIL_OPEN, (key,), fail_open),
        ]
    )
