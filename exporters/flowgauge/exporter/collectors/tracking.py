"""MLflow as its API shows it: whether it answers, its version, the runs that DAGs started."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flowgauge.complaint import Complaint
from flowgauge.exporter.collector import MAX_TIME_LIMIT_SECONDS, Context, Family
from flowgauge.exporter.families import family
from flowgauge.metrics import (
    DAG_RUNS,
    DAG_RUNS_LIMITED,
    DAG_RUNS_STALE,
    PROBE_DURATION,
    SERVER_INFO,
    UP,
)
from flowgauge.tracking.errors import TrackingError
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

_TAGGED = f"tags.`{DAG_ID_TAG}` LIKE '%'"


class TrackingCollector:
    """Probes MLflow and counts the runs tagged with a DAG, over all active experiments.

    An MLflow that does not answer is a finding (`mlflow_up` 0), not a failure of this collector;
    then nothing else is shown. The probe is a real API call, as `/health` is fine even without a
    database. It has 4 s of its own, so that an MLflow that is only slow is told from one that is
    down. A version that is not told hides nothing else. Of the recent and of the stale runs it
    reads the *limit* newest, *page* at a time, in at most *limit* experiments; figures of a longer
    list are marked by `mlflow_dag_runs_limited`.
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
        self._page = page
        self._limit = limit
        self._complaint = Complaint("The probe of MLflow")
        self._version_complaint = Complaint("Asking for MLflow's version")
        self._now = now
        self._clock = clock

    def collect(self) -> Iterator[Family]:
        """Yield the probe's result, then the runs and the version if MLflow answers."""
        started = self._clock()
        up = self._probe()
        yield family(UP, {(): up})
        if not up:
            return
        yield family(PROBE_DURATION, {(): self._clock() - started})
        deadline = started + _ALL_SECONDS

        def seconds_left() -> float:
            return max(deadline - self._clock(), 0)

        yield from self._version(lambda: min(_VERSION_SECONDS, seconds_left()))
        yield from self._runs(
            Queries(self._client, seconds_left=seconds_left, page=self._page, limit=self._limit)
        )

    def _probe(self) -> bool:
        try:
            Queries(self._client, seconds_left=lambda: _PROBE_SECONDS).probe()
        except TrackingError as error:
            self._complaint.raise_(str(error))
            return False
        self._complaint.settle()
        return True

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
        yield family(
            DAG_RUNS, Counter((_dag_id(run), run["info"]["status"]) for run in recent.items)
        )
        yield family(DAG_RUNS_STALE, Counter((_dag_id(run),) for run in stale.items))
        yield family(DAG_RUNS_LIMITED, {(): limited})


def _dag_id(run: Mapping[str, Any]) -> str:
    tags = run["data"]["tags"]
    return next(str(tag["value"]) for tag in tags if tag["key"] == DAG_ID_TAG)
