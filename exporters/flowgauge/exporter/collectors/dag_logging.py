"""What DAGs logged, by DAG and task up to a limit of pairs."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flowgauge.exporter.collector import Context, Family
from flowgauge.exporter.families import Labels, family, histogram
from flowgauge.metrics import (
    DAG_LAST_LOGGED,
    DAG_LOG_DURATION,
    DAG_LOG_FAILURES,
    DAG_LOGS,
    DAG_LOGS_ALTERED,
    DAG_LOGS_DEFERRED,
    DAG_NULL_RATIO,
    DAG_PAIRS_DROPPED,
    DAG_ROWS,
)
from flowgauge.store import LogTotals, PairTotals

__all__ = ["DagLoggingCollector"]

_OTHER = "other"


@dataclass(frozen=True)
class DagLoggingCollector:
    """Shows what the store counted for each DAG and task.

    Beyond the context's `max_pairs`, pairs are summed up under the labels `other`. The first to
    come keep theirs for good: a counter that moved to `other` and back would look restarted.
    """

    context: Context
    name = "dag_logging"
    time_limit_seconds = 5.0

    def collect(self) -> Iterator[Family]:
        """Yield `mlflow_dag_log*`, `_rows`, `_null_ratio`, `_last_logged` and `_pairs_over_limit`.

        `other` has no null ratio: the last one logged of many pairs says nothing.
        """
        totals = self.context.store.log_totals()
        limit = self.context.max_pairs
        shown, others = totals.pairs[:limit], totals.pairs[limit:]
        labelled = [((pair.dag_id, pair.task_id), pair) for pair in shown]
        labelled += [((_OTHER, _OTHER), pair) for pair in others]
        yield from _counters(labelled)
        yield from _gauges(labelled)
        yield family(DAG_PAIRS_DROPPED, {(): len(others)})
        yield _durations(totals, {pair.dag_id for pair in shown})


_Labelled = Sequence[tuple[Labels, PairTotals]]


def _counters(labelled: _Labelled) -> Iterator[Family]:
    logs, deferred, altered, rows, failures = (Counter[Labels]() for _ in range(5))
    for labels, pair in labelled:
        logs[labels] += pair.logs
        deferred[labels] += pair.deferred
        altered[labels] += pair.altered
        rows[labels] += pair.rows
        for reason, count in pair.failures.items():
            failures[*labels, reason] += count
    yield family(DAG_LOGS, logs)
    yield family(DAG_LOGS_DEFERRED, deferred)
    yield family(DAG_LOGS_ALTERED, altered)
    yield family(DAG_ROWS, rows)
    yield family(DAG_LOG_FAILURES, failures)


def _gauges(labelled: _Labelled) -> Iterator[Family]:
    null_ratio: dict[Labels, float] = {}
    last_logged: dict[Labels, float] = {}
    for labels, pair in labelled:
        if pair.null_ratio is not None and labels != (_OTHER, _OTHER):
            null_ratio[labels] = pair.null_ratio
        if pair.last_logged is not None:
            last_logged[labels] = max(pair.last_logged, last_logged.get(labels, 0))
    yield family(DAG_NULL_RATIO, null_ratio)
    yield family(DAG_LAST_LOGGED, last_logged)


def _durations(totals: LogTotals, shown: set[str]) -> Family:
    buckets: dict[Labels, list[int]] = defaultdict(
        lambda: [0] * (len(DAG_LOG_DURATION.buckets) + 1)
    )
    seconds: dict[Labels, float] = defaultdict(float)
    for dag_id, (counts, total) in totals.durations.items():
        labels = (dag_id if dag_id in shown else _OTHER,)
        buckets[labels] = [one + other for one, other in zip(buckets[labels], counts, strict=True)]
        seconds[labels] += total
    return histogram(
        DAG_LOG_DURATION, {labels: (counts, seconds[labels]) for labels, counts in buckets.items()}
    )
