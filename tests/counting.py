"""What a store counted, in the words of the tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowgauge.metrics import (
    DAG_LAST_LOGGED,
    DAG_LOG_DURATION,
    DAG_LOG_FAILURES,
    DAG_LOGS,
    DAG_LOGS_ALTERED,
    DAG_LOGS_DEFERRED,
    DAG_NULL_RATIO,
    DAG_ROWS,
)
from flowgauge.store import Store
from flowgauge.store.log_calls import Logged, deferred
from flowgauge.store.outbox import NewEntry
from flowgauge.store.rate_limits import rate_limits

__all__ = ["Pair", "RateLimitState", "defer", "durations", "pairs", "rate_limit"]


@dataclass(frozen=True)
class Pair:
    """What was counted for one DAG and task."""

    dag_id: str
    task_id: str
    logs: float
    failures: Mapping[str, float]
    deferred: float
    altered: float
    rows: float
    null_ratio: float | None
    last_logged: float | None


@dataclass(frozen=True)
class RateLimitState:
    """One rate limit as operators see it."""

    key: str
    max_calls: int
    window_seconds: float
    window_calls: int
    waiting: int
    is_set: bool
    calls: float
    hits: float
    wait_seconds: float
    fail_open: float


def pairs(store: Store) -> list[Pair]:
    """Return what was counted for every pair, in their order."""
    return [
        Pair(
            dag_id=each.labels[0],
            task_id=each.labels[1],
            logs=each.of(DAG_LOGS) or 0,
            failures={
                others[0]: value
                for (name, *others), value in each.values.items()
                if name == DAG_LOG_FAILURES.name
            },
            deferred=each.of(DAG_LOGS_DEFERRED) or 0,
            altered=each.of(DAG_LOGS_ALTERED) or 0,
            rows=each.of(DAG_ROWS) or 0,
            null_ratio=each.of(DAG_NULL_RATIO),
            last_logged=each.of(DAG_LAST_LOGGED),
        )
        for each in store.counts.totals("dag_id", "task_id")
    ]


def durations(store: Store) -> dict[str, tuple[Sequence[float], float]]:
    """Return the histogram of every DAG."""
    return {
        each.labels[0]: each.histogram(DAG_LOG_DURATION) for each in store.counts.totals("dag_id")
    }


def rate_limit(store: Store, key: str) -> RateLimitState:
    """Return the rate limit of *key*."""
    (found,) = (limit for limit in rate_limits(store) if limit["key"] == key)
    return RateLimitState(**found)


def defer(store: Store, logged: Logged, entry_id: str, body: str = "{}") -> None:
    """Put a payload into the outbox as a log call does."""
    entry = NewEntry(entry_id, *logged.pair, body, logged.reason)
    store.outbox.put(entry, deferred(logged))
