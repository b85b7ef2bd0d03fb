"""MLflow as its API shows it: whether it answers, its version, the runs that DAGs started."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flowgauge.exporter.collector import MAX_TIME_LIMIT_SECONDS, Context, Family
from flowgauge.exporter.complaint import Complaint
from flowgauge.exporter.families import family
from flowgauge.metrics import (
    DAG_RUNS,
    DAG_RUNS_LIMITED,
    DAG_RUNS_STALE,
    PROBE_DURATION,
    SERVER_INFO,
    UP,
)
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.errors import TrackingError
from flowgauge.tracking.tags import DAG_ID_TAG

__all__ = ["TrackingCollector"]

_PROBE_SECONDS = 4.0
_ALL_SECONDS = MAX_TIME_LIMIT_SECONDS - 0.5
# A page of 1,000 runs takes MLflow half a second and is 2 MB (measured on 3.17).
_PAGE = 1000
_LIMIT = 5000
_DAY_MILLISECONDS = 24 * 3600 * 1000

_TAGGED = f"tags.`{DAG_ID_TAG}` LIKE '%'"


class TrackingCollector:
    """Probes MLflow and counts the runs tagged with a DAG, over all active experiments.

    An MLflow that does not answer is a finding (`mlflow_up` 0), not a failure of this collector;
    then nothing else is shown. The probe is a real API call, as `/health` is fine even without a
    database. It has 4 s of its own, so that an MLflow that is only slow is told from one that is
    down. Of the recent and of the stale runs it reads the *limit* newest, *page* at a time, in at
    most *limit* experiments; figures of a longer list are marked by `mlflow_dag_runs_limited`.
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

        version = self._client.text("/version", timeout_seconds=seconds_left())
        yield family(SERVER_INFO, {(version.strip(),): 1})
        yield from self._runs(_Search(self._client, self._page, self._limit, seconds_left))

    def _probe(self) -> bool:
        try:
            self._client.call(
                "GET", "experiments/search", {"max_results": 1}, timeout_seconds=_PROBE_SECONDS
            )
        except TrackingError as error:
            self._complaint.raise_(str(error))
            return False
        self._complaint.settle()
        return True

    def _runs(self, search: "_Search") -> Iterator[Family]:
        yesterday = int(self._now() * 1000) - _DAY_MILLISECONDS
        recent = search.runs(f"attributes.start_time >= {yesterday} AND {_TAGGED}")
        stale = search.runs(
            f"attributes.status = 'RUNNING' AND attributes.start_time < {yesterday} AND {_TAGGED}"
        )
        yield family(DAG_RUNS, Counter((_dag_id(run), run["info"]["status"]) for run in recent))
        yield family(DAG_RUNS_STALE, Counter((_dag_id(run),) for run in stale))
        yield family(DAG_RUNS_LIMITED, {(): search.limited})


class _Search:
    """Searches all active experiments, page by page, up to a limit and within a time."""

    def __init__(
        self, client: TrackingClient, page: int, limit: int, seconds_left: Callable[[], float]
    ) -> None:
        self._client = client
        self._page = page
        self._limit = limit
        self._seconds_left = seconds_left
        self.limited = False
        found = self._pages("GET", "experiments/search", "experiments", {})
        self._experiments = [experiment["experiment_id"] for experiment in found]

    def runs(self, wanted: str) -> list[dict[str, Any]]:
        """Return the newest runs that the filter *wanted* finds."""
        query = {
            "experiment_ids": self._experiments,
            "filter": wanted,
            "order_by": ["attributes.start_time DESC"],
        }
        return self._pages("POST", "runs/search", "runs", query)

    def _pages(
        self, method: str, endpoint: str, key: str, query: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page: dict[str, Any] = {}
        while len(found) < self._limit:
            page = self._client.call(
                method,
                endpoint,
                {**query, "max_results": self._page, **_next(page)},
                timeout_seconds=self._seconds_left(),
            )
            found += page.get(key, [])
            if not _next(page):
                return found
        self.limited = True
        return found


def _next(page: Mapping[str, Any]) -> dict[str, str]:
    token = page.get("next_page_token")
    return {"page_token": token} if token else {}


def _dag_id(run: Mapping[str, Any]) -> str:
    tags = run["data"]["tags"]
    return next(str(tag["value"]) for tag in tags if tag["key"] == DAG_ID_TAG)
