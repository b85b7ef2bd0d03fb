"""The runs in MLflow that DAGs started."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from flowgauge.dag_headers import OTHER
from flowgauge.exporter.collector import MAX_TIME_LIMIT_SECONDS, Context, Family
from flowgauge.exporter.families import Labels, family
from flowgauge.exporter.runs.reading import RunReader
from flowgauge.exporter.runs.run import DAY_MS, Run
from flowgauge.metrics import (
    DAG_LAST_RUN,
    DAG_LAST_RUN_DURATION,
    DAG_RUNS,
    DAG_RUNS_LIMITED,
    DAG_RUNS_READ,
    DAG_RUNS_STALE,
)
from flowgauge.tracking.errors import TrackingError
from flowgauge.tracking.queries import Queries

__all__ = ["RunsCollector"]

_LIMIT = 20_000
_PAGE = 500
_PROBE_SECONDS = 3.0
_LOOK_SECONDS = MAX_TIME_LIMIT_SECONDS - _PROBE_SECONDS - 0.5
# For how much of the time a look may be under way: until all is known, and then.
_FIRST_SHARE = 0.05
_SHARE = 0.0005
# They grow rarer for it, up to so many times the interval.
_RARER = 10


class RunsCollector:
    """Counts the runs tagged with a DAG, over all active experiments, the newest *limit*.

    It looks at MLflow at most every `runs_interval_seconds` of the context, and less often the
    longer a look takes. In between it shows what it saw, and when that was; so it does while MLflow
    is away, which is a finding of the collector `tracking`, or a look fails. Until all runs have
    been read, and where there are more, `mlflow_dag_runs_limited` is 1.

    Anybody who may log can tag a run as he likes: beyond the context's `max_pairs` DAGs, those
    whose runs are older first, and for what Airflow would call no DAG, the label is `other`.
    """

    name = "runs"
    time_limit_seconds = MAX_TIME_LIMIT_SECONDS

    def __init__(
        self,
        context: Context,
        *,
        limit: int = _LIMIT,
        page: int = _PAGE,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = context.tracking
        self._max_dags = context.max_pairs
        self._interval = context.runs_interval_seconds
        self._reader = RunReader(context.tracking, limit=limit, page=page, clock=clock)
        self._now = now
        self._clock = clock
        self._due = clock()
        self._failure: TrackingError | None = None
        self._families: Sequence[Family] = ()

    def collect(self) -> Iterator[Family]:
        """Yield what the last look found, after one if it is time."""
        if self._clock() >= self._due:
            self._look()
        yield from self._families
        if self._failure:
            raise self._failure

    def _look(self) -> None:
        began, now_ms = self._clock(), int(self._now() * 1000)
        try:
            self._reader.look(now_ms, _LOOK_SECONDS)
        except TrackingError as error:
            self._failure = error if self._is_up() else None
            self._due = began + self._interval
            return
        self._failure = None
        self._due = began + self._pause(self._clock() - began)
        self._families = tuple(self._shown(now_ms))

    def _is_up(self) -> bool:
        try:
            Queries(self._client, seconds_left=lambda: _PROBE_SECONDS).probe()
        except TrackingError:
            return False
        return True

    def _pause(self, took: float) -> float:
        if self._reader.complete:
            return min(max(took / _SHARE, self._interval), _RARER * self._interval)
        return min(took / _FIRST_SHARE, self._interval)

    def _shown(self, now_ms: int) -> Iterator[Family]:
        runs, day = self._reader.runs, now_ms - DAY_MS
        label = _labels(runs, self._max_dags)
        recent = [run for run in runs if run.start_ms >= day]
        stale = [run for run in runs if run.start_ms < day]
        yield family(DAG_RUNS, Counter((label(run), run.status) for run in recent))
        yield family(DAG_LAST_RUN, _last_started(recent, label, now_ms))
        yield family(DAG_LAST_RUN_DURATION, _last_took(recent, label))
        yield family(DAG_RUNS_STALE, Counter((label(run),) for run in stale))
        yield family(DAG_RUNS_LIMITED, {(): self._reader.limited or not self._reader.complete})
        yield family(DAG_RUNS_READ, {(): now_ms / 1000})


def _labels(newest_first: Sequence[Run], most: int) -> Callable[[Run], str]:
    """Return what tells a run's label: its DAG, or `other`."""
    dags = dict.fromkeys(run.dag_id for run in reversed(newest_first) if run.dag_id != OTHER)
    shown = frozenset(islice(dags, most))
    return lambda run: run.dag_id if run.dag_id in shown else OTHER


def _last_started(
    newest_first: Sequence[Run], label: Callable[[Run], str], now_ms: int
) -> dict[Labels, float]:
    started: dict[Labels, float] = {}
    for run in newest_first:
        # Who starts a run says when: one of tomorrow would make a DAG look alive till then.
        if 0 < run.start_ms <= now_ms:
            started.setdefault((label(run),), run.start_ms / 1000)
    return started


def _last_took(newest_first: Sequence[Run], label: Callable[[Run], str]) -> dict[Labels, float]:
    took: dict[Labels, float] = {}
    for run in newest_first:
        # One of many DAGs says nothing.
        if run.start_ms and run.end_ms and label(run) != OTHER:
            took.setdefault((label(run),), (run.end_ms - run.start_ms) / 1000)
    return took
