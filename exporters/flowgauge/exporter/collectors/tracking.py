"""MLflow as its API shows it: whether it answers, its version, the runs that DAGs started."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from flowgauge.complaint import Complaint
from flowgauge.dag_headers import OTHER, is_name
from flowgauge.exporter.collector import MAX_TIME_LIMIT_SECONDS, Context, Family
from flowgauge.exporter.families import Labels, family
from flowgauge.metrics import (
    CERTIFICATE_EXPIRY,
    DAG_LAST_RUN,
    DAG_LAST_RUN_DURATION,
    DAG_RUNS,
    DAG_RUNS_LIMITED,
    DAG_RUNS_STALE,
    PROBE_DURATION,
    PROBE_FAILURE,
    SERVER_INFO,
    UP,
)
from flowgauge.tracking.errors import REASONS, TrackingError
from flowgauge.tracking.queries import Queries
from flowgauge.tracking.tags import DAG_ID_TAG

__all__ = ["TrackingCollector"]

_PROBE_SECONDS = 4.0
_ALL_SECONDS = MAX_TIME_LIMIT_SECONDS - 0.5
# MLflow asks no database for it.
_VERSION_SECONDS = 1.0
_PAGE = 1000
_LIMIT = 5000
_DAY_MILLISECONDS = 24 * 3600 * 1000

Run = Mapping[str, Any]

_TAGGED = f"tags.`{DAG_ID_TAG}` LIKE '%'"


class TrackingCollector:
    """Probes MLflow and counts the runs tagged with a DAG, over all active experiments.

    An MLflow that does not answer is a finding (`mlflow_up` 0), not a failure of this collector;
    then nothing else is shown but why, and when its certificate expires. The probe is a real API
    call, as `/health` is fine even without a database. It has 4 s of its own, so that an MLflow
    that is only slow is told from one that is down. A version that is not told hides nothing else.
    Of the recent and of the stale runs it reads the *limit* newest, *page* at a time, in at most
    *limit* experiments; figures of a longer list are marked by `mlflow_dag_runs_limited`. Anybody
    who may log can tag a run as he likes: beyond the context's `max_pairs` DAGs, those whose runs
    are older first, and for what Airflow would call no DAG, the label is `other`.
    """

    name = "tracking"
    time_limit_seconds = MAX_TIME_LIMIT_SECONDS

    def __init__(
        self,
        context: Context,
        *,
        page: int = _PAGE,
        limit: int = _LIMIT,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = context.tracking
        self._max_dags = context.max_pairs
        self._page = page
        self._limit = limit
        self._complaint = Complaint("The probe of MLflow")
        self._version_complaint = Complaint("Asking for MLflow's version")
        self._now = now
        self._clock = clock

    def collect(self) -> Iterator[Family]:
        """Yield the probe's result, then the runs and the version if MLflow answers."""
        started = self._clock()
        failure = self._probe()
        yield family(UP, {(): failure is None})
        yield family(PROBE_FAILURE, {(reason,): reason == failure for reason in REASONS})
        if expires := self._client.certificate_expires:
            yield family(CERTIFICATE_EXPIRY, {(): expires})
        if failure:
            return
        yield family(PROBE_DURATION, {(): self._clock() - started})
        deadline = started + _ALL_SECONDS

        def seconds_left() -> float:
            return max(deadline - self._clock(), 0)

        yield from self._version(lambda: min(_VERSION_SECONDS, seconds_left()))
        yield from self._runs(
            Queries(self._client, seconds_left=seconds_left, page=self._page, limit=self._limit)
        )

    def _probe(self) -> str | None:
        """Return why the probe failed, None if it did not."""
        try:
            Queries(self._client, seconds_left=lambda: _PROBE_SECONDS).probe()
        except TrackingError as error:
            self._complaint.raise_(str(error))
            return error.reason
        self._complaint.settle()
        return None

    def _version(self, seconds_left: Callable[[], float]) -> Iterator[Family]:
        try:
            version = Queries(self._client, seconds_left=seconds_left).version()
        except TrackingError as error:
            self._version_complaint.raise_(str(error))
            return
        self._version_complaint.settle()
        yield family(SERVER_INFO, {(version,): 1})

    def _runs(self, mlflow: Queries) -> Iterator[Family]:
        experiments = mlflow.experiments()
        ids = [experiment["experiment_id"] for experiment in experiments.items]
        yesterday = int(self._now() * 1000) - _DAY_MILLISECONDS
        recent = mlflow.runs(ids, f"attributes.start_time >= {yesterday} AND {_TAGGED}")
        stale = mlflow.runs(
            ids,
            f"attributes.status = 'RUNNING' AND attributes.start_time < {yesterday} AND {_TAGGED}",
        )
        limited = experiments.limited or recent.limited or stale.limited
        named = _labels([*recent.items, *stale.items], self._max_dags)
        yield family(DAG_RUNS, Counter((named(run), run["info"]["status"]) for run in recent.items))
        yield family(DAG_LAST_RUN, self._last_started(recent.items, named))
        yield family(DAG_LAST_RUN_DURATION, _last_took(recent.items, named))
        yield family(DAG_RUNS_STALE, Counter((named(run),) for run in stale.items))
        yield family(DAG_RUNS_LIMITED, {(): limited})

    def _last_started(
        self, newest_first: Sequence[Run], named: Callable[[Run], str]
    ) -> dict[Labels, float]:
        started: dict[Labels, float] = {}
        for run in newest_first:
            seconds = int(run["info"].get("start_time") or 0) / 1000
            # Who starts a run says when: one of tomorrow would make a DAG look alive till then.
            if 0 < seconds <= self._now():
                started.setdefault((named(run),), seconds)
        return started


def _labels(newest_first: Sequence[Run], most: int) -> Callable[[Run], str]:
    """Return what tells a run's label: the DAG it is tagged with, or `other`."""
    dags = dict.fromkeys(filter(is_name, map(_dag_id, reversed(newest_first))))
    shown = frozenset(islice(dags, most))

    def label(run: Run) -> str:
        dag_id = _dag_id(run)
        return dag_id if dag_id in shown else OTHER

    return label


def _last_took(newest_first: Sequence[Run], named: Callable[[Run], str]) -> dict[Labels, float]:
    took: dict[Labels, float] = {}
    for run in newest_first:
        began, ended = run["info"].get("start_time"), run["info"].get("end_time")
        label = named(run)
        # One of many DAGs says nothing.
        if began and ended and label != OTHER:
            took.setdefault((label,), (int(ended) - int(began)) / 1000)
    return took


def _dag_id(run: Run) -> str:
    tags = run["data"]["tags"]
    return next(str(tag["value"]) for tag in tags if tag["key"] == DAG_ID_TAG)
