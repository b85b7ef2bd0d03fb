"""What a log call counts, by what became of its payload.

A further counter of log calls is a metric in `flowgauge.metrics` and a line here.
"""

from collections.abc import Sequence
from typing import NamedTuple

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
from flowgauge.store.counts import Count

__all__ = ["Logged", "abandoned", "arrived", "deferred", "ended", "failed", "repeated"]


class Logged(NamedTuple):
    """A log call: its payload arrived in MLflow, or did not (`reason`).

    `altered` says that names or values of it were changed to suit MLflow or left out, `left_out`
    the reason that this counts as, if any was left out.
    """

    dag_id: str
    task_id: str
    duration_seconds: float
    rows: int = 0
    null_ratio: float | None = None
    altered: bool = False
    left_out: str | None = None
    reason: str | None = None

    @property
    def pair(self) -> tuple[str, str]:
        """Whose count it is."""
        return self.dag_id, self.task_id


def ended(logged: Logged) -> Sequence[Count]:
    """Return what a log call counts that ended: in MLflow, or refused for good."""
    if logged.reason is None:
        return (*_called(logged), *arrived(logged))
    return (*_called(logged), *failed(*logged.pair, logged.reason))


def repeated(logged: Logged) -> Sequence[Count]:
    """Return what a log call counts whose payload had arrived before."""
    return _called(logged)


def deferred(logged: Logged) -> Sequence[Count]:
    """Return what a log call counts whose payload went into the outbox."""
    return (Count(DAG_LOG_DURATION, (logged.dag_id,), logged.duration_seconds), *_kept(logged))


def abandoned(logged: Logged) -> Sequence[Count]:
    """Return what a log call counts that was killed, its payload in the outbox.

    Nobody knows how long it took.
    """
    return _kept(logged)


def arrived(logged: Logged) -> Sequence[Count]:
    """Return what a payload counts that is in MLflow, at once or from the outbox.

    Duration and `altered` are left out: they were counted when the task called.
    """
    counts = [
        Count(DAG_LOGS, logged.pair),
        Count(DAG_ROWS, logged.pair, logged.rows),
        Count(DAG_LAST_LOGGED, logged.pair, None),
    ]
    if logged.null_ratio is not None:
        counts.append(Count(DAG_NULL_RATIO, logged.pair, logged.null_ratio))
    return counts


def failed(dag_id: str, task_id: str, reason: str) -> Sequence[Count]:
    """Return what an attempt counts that failed."""
    return (Count(DAG_LOG_FAILURES, (dag_id, task_id, reason)),)


def _kept(logged: Logged) -> Sequence[Count]:
    failure = () if logged.reason is None else failed(*logged.pair, logged.reason)
    return (*_changed(logged), Count(DAG_LOGS_DEFERRED, logged.pair), *failure)


def _called(logged: Logged) -> Sequence[Count]:
    """Return what every log call counts, however it ended."""
    return (
        Count(DAG_LOG_DURATION, (logged.dag_id,), logged.duration_seconds),
        *_changed(logged),
    )


def _changed(logged: Logged) -> Sequence[Count]:
    altered = Count(DAG_LOGS_ALTERED, logged.pair, int(logged.altered))
    return (altered, *(failed(*logged.pair, logged.left_out) if logged.left_out else ()))
